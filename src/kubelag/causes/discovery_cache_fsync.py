"""The client syncs every discovery cache entry to disk, one after another.

What it is
    The HTTP cache of client-go up to 0.24 writes each discovery answer through a disk store that
    holds one lock across `fsync`. Requests leave in parallel; their answers then queue behind
    that lock, about two syncs for each answer of unknown length. On a disk that needs 60 ms for
    a sync, 120 answers cost more than ten seconds.

How it is told apart
    The seconds are spent in fsync on files below the cache directory, while the client computes
    nothing and no request is in flight. The client's own log hides it: its milliseconds stop when
    the headers arrive, and the sync comes after the body. Only cold or expired runs are slow; a
    slow file system (`cache_metadata_slow`) is slow in rename, open and close too, and when warm.

What it costs
    Number of syncs times the disk's latency for one. Removing the syncs for one process tree
    (`fsync_suppressed`) proves it without changing anything else.

Versions
    kubectl up to 1.24 and everything built on client-go up to 0.24 (helm up to 3.9). Fixed in
    1.25.0, which writes a SHA-256 instead of syncing. Debian 12 still ships 1.20.2.

Sources
    kubernetes/kubernetes issues 110753 and 110820, pull request 110851 (the fix), issue 73570
    (a link to /dev/shm as a cure).
"""

from kubelag.causes.contract import (
    Case,
    could_not_look,
    hidden,
    lost_syscalls,
    median_ns,
    spent_in,
    unknown,
    unplaced,
)
from kubelag.causes.disk_facts import disk_facts
from kubelag.model.evidence import Syscall
from kubelag.model.units import counted, seconds, share_of
from kubelag.model.verdict import Fact, Judgement, Source
from kubelag.timeline.factors import CACHE_FSYNC
from kubelag.timeline.spans import FSYNCS, is_in_cache

ID = "discovery_cache_fsync"

_SOURCES = (
    Source(
        title="kubectl is slow: it syncs every cache file (kubernetes#110753)",
        url="https://github.com/kubernetes/kubernetes/issues/110753",
    ),
    Source(
        title="the fix, in 1.25.0: checksums instead of syncs (kubernetes#110851)",
        url="https://github.com/kubernetes/kubernetes/pull/110851",
    ),
)


class DiscoveryCacheFsync:
    """See the module."""

    id = ID
    title = "the discovery cache is synced to disk entry by entry"

    def judge(self, case: Case) -> Judgement:
        """Compare the time in cache syncs with the wall time."""
        if missing := could_not_look(case, ["syscalls", "cache_directory"]):
            return unknown(ID, "whether the client synced its cache was not seen", missing)
        calls = _cache_syncs(case)
        spent_ns = case.union_ns(CACHE_FSYNC)
        astray = unplaced(case, syncs=True)
        if not case.is_notable(spent_ns):
            if case.is_notable(spent_in(astray)):
                what = f"{counted(len(astray), 'sync')} of unknown files took long"
                missing = (f"syscalls: the files of syncs that took {seconds(spent_in(astray))}",)
                return unknown(ID, what, missing)
            if missing := lost_syscalls(case):
                return unknown(ID, "not every system call was seen", missing)
            return _ruled_out(case, [*calls, *astray])
        if not case.is_waited_for(CACHE_FSYNC):
            what = f"{counted(len(calls), 'sync')} in the cache took {seconds(spent_ns)}"
            return hidden(case, ID, what, CACHE_FSYNC)
        return _suspected(case, calls)


def _cache_syncs(case: Case) -> list[Syscall]:
    evidence = case.evidence
    return [
        call
        for call in evidence.syscalls
        if call.name in FSYNCS and is_in_cache(call.path, evidence.cache)
    ]


def _ruled_out(case: Case, calls: list[Syscall]) -> Judgement:
    took = f" ({seconds(spent_in(calls))} in all)" if calls else ""
    return Judgement(
        cause=ID,
        standing="ruled_out",
        sentence=f"{case.client} made {counted(len(calls), 'sync')} in its cache{took}",
        factors=(CACHE_FSYNC,),
    )


def _suspected(case: Case, calls: list[Syscall]) -> Judgement:
    typical_ns = median_ns(call.end_ns - call.start_ns for call in calls)
    product_ns = len(calls) * typical_ns
    where = _where(case)
    spent_ns, wall_ns = case.union_ns(CACHE_FSYNC), case.attribution.wall_ns
    return Judgement(
        cause=ID,
        standing="suspected",
        sentence=(
            f"{case.client} syncs every discovery cache entry to disk, one after another: "
            f"{counted(len(calls), 'fsync')} of {seconds(typical_ns)} each (median) on {where}; "
            "fixed in kubectl 1.25.0"
        ),
        factors=(CACHE_FSYNC,),
        low_ns=case.exclusive_ns(CACHE_FSYNC),
        high_ns=spent_ns,
        arithmetic=(
            f"{counted(len(calls), 'fsync')} x {seconds(typical_ns)} (median) = "
            f"{seconds(product_ns)}"
        ),
        facts=(
            Fact(
                text=(
                    f"{counted(len(calls), 'fsync')} below {case.cache_name} took "
                    f"{seconds(spent_ns)}, {share_of(spent_ns, wall_ns)} of the wall time"
                ),
                observer="syscalls",
            ),
            *disk_facts(case),
        ),
        experiments=("fsync_suppressed", "cache_on_memory"),
        supporting=("other_client",),
        remedies=("cache-in-memory", "upgrade-client", "no-sync-launcher"),
        sources=_SOURCES,
    )


def _where(case: Case) -> str:
    cache = case.evidence.cache
    if cache is None or not (cache.device or cache.file_system):
        return "the cache's disk"
    return " on ".join(part for part in (cache.file_system, cache.device) if part)
