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
    cache_calls,
    calls_unseen,
    could_not_look,
    hidden,
    is_recorded,
    is_sampled,
    lost_syscalls,
    median_ns,
    seen_by,
    spent_in,
    tally,
    unknown,
    unplaced,
)
from kubelag.causes.disk_facts import disk_facts
from kubelag.model.evidence import Syscall
from kubelag.model.units import counted, seconds, share_of
from kubelag.model.verdict import Fact, Judgement, Source
from kubelag.timeline.factors import CACHE_FSYNC

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
        calls = cache_calls(case, syncs=True)
        spent_ns = case.union_ns(CACHE_FSYNC)
        if case.is_notable(spent_ns):
            if case.is_waited_for(CACHE_FSYNC):
                return _suspected(case, calls)
            what = f"{tally(calls, 'sync')} in the cache took {seconds(spent_ns)}"
            return hidden(case, ID, what, CACHE_FSYNC)
        if missing := (*calls_unseen(case, "fsync"), *could_not_look(case, ["cache_directory"])):
            return unknown(ID, "whether the client synced its cache was not seen", missing)
        astray = unplaced(case, syncs=True)
        if case.is_notable(spent_in(astray)):
            what = f"{counted(len(astray), 'sync')} of unknown files took long"
            missing = (f"syscalls: the files of syncs that took {seconds(spent_in(astray))}",)
            return unknown(ID, what, missing)
        if case.is_notable(case.attribution.unexplained_ns) and not is_recorded(case, "fsync"):
            missing = ("syscalls: syncs were sampled, which misses short ones",)
            return unknown(ID, "not every sync was seen", missing)
        if missing := lost_syscalls(case):
            return unknown(ID, "not every system call was seen", missing)
        return _ruled_out(case, [*calls, *astray])


def _ruled_out(case: Case, calls: list[Syscall]) -> Judgement:
    took = f" ({seconds(spent_in(calls))} in all)" if calls else ""
    said = f"{case.client} made {tally(calls, 'sync')} in its cache{took}"
    if not is_recorded(case, "fsync"):
        said = f"{case.client} was seen for {seconds(spent_in(calls))} in syncs of its cache"
    return Judgement(cause=ID, standing="ruled_out", sentence=said, factors=(CACHE_FSYNC,))


def _suspected(case: Case, calls: list[Syscall]) -> Judgement:
    spent_ns, wall_ns = case.union_ns(CACHE_FSYNC), case.attribution.wall_ns
    return Judgement(
        cause=ID,
        standing="suspected",
        sentence=(
            f"{case.client} syncs every discovery cache entry to disk, one after another: "
            f"{_cost(case, calls)} on {_where(case)}; fixed in kubectl 1.25.0"
        ),
        factors=(CACHE_FSYNC,),
        low_ns=case.exclusive_ns(CACHE_FSYNC),
        high_ns=spent_ns,
        arithmetic=_arithmetic(case, calls),
        facts=(
            Fact(
                text=(
                    f"{tally(calls, 'sync')} below {case.cache_name} took "
                    f"{seconds(spent_ns)}, {share_of(spent_ns, wall_ns)} of the wall time"
                ),
                observer=seen_by(calls),
            ),
            *disk_facts(case),
        ),
        experiments=("fsync_suppressed", "cache_on_memory"),
        supporting=("other_client", "own_client"),
        remedies=("cache-in-memory", "upgrade-client", "no-sync-launcher"),
        sources=_SOURCES,
    )


def _typical_ns(calls: list[Syscall]) -> int:
    return median_ns(call.end_ns - call.start_ns for call in calls)


def _cost(case: Case, calls: list[Syscall]) -> str:
    if is_sampled(calls):
        return f"{seconds(case.union_ns(CACHE_FSYNC))} of syncs"
    return f"{counted(len(calls), 'fsync')} of {seconds(_typical_ns(calls))} each (median)"


def _arithmetic(case: Case, calls: list[Syscall]) -> str:
    if is_sampled(calls):
        return f"the syncs that were seen in samples = {seconds(case.union_ns(CACHE_FSYNC))}"
    typical_ns = _typical_ns(calls)
    return (
        f"{counted(len(calls), 'fsync')} x {seconds(typical_ns)} (median) = "
        f"{seconds(len(calls) * typical_ns)}"
    )


def _where(case: Case) -> str:
    cache = case.evidence.cache
    return (cache.place if cache else "") or "the cache's disk"
