"""Opening, renaming and closing the client's cache files is slow.

What it is
    For every group-version the client creates, chmods, closes and renames a small file, and a
    warm run opens each of them three times. On NFS, SMB, FUSE and under file scanners each call
    may cost milliseconds. On a slow local disk a single rename may wait for the journal: ext4
    holds up metadata changes while it commits, and a commit takes as long as the disk needs.

How it is told apart
    The seconds are spent in file calls other than fsync below the cache directory. A network file
    system is slow cold and warm; the journal wait shows as one or few long renames in a cold run,
    and in clients that never sync (kubectl 1.25 and later) too: a rename over an existing file
    makes ext4 write that file's data first, which needs room in a journal that commits slowly.

What it costs
    Three to eight calls for each group-version, each at the file system's latency; or the time of
    one journal commit. The same command with its cache on memory proves it.

Versions
    All. From 1.26 aggregated discovery saves requests, but still writes every file.

Sources
    kubernetes/kubernetes issue 78664 (NFS homes); openshift/origin issue 17441 (network drive).
"""

from kubelag.causes.contract import (
    Case,
    cache_calls,
    calls_unseen,
    could_not_look,
    hidden,
    is_recorded,
    lost_syscalls,
    seen_by,
    spent_in,
    tally,
    unknown,
    unplaced,
)
from kubelag.causes.disk_facts import disk_facts
from kubelag.model.evidence import Syscall
from kubelag.model.stretches import covered_ns
from kubelag.model.units import counted, seconds, share_of
from kubelag.model.verdict import Fact, Judgement, Source
from kubelag.timeline.factors import CACHE_FILES

ID = "cache_metadata_slow"

# Whoever records this one records every file call.
_ANY = "openat"
_JOURNALLING = frozenset({"ext3", "ext4", "xfs", "jfs", "btrfs"})
# On a local file system these calls take microseconds; one of 10 ms waited for the disk (arbitrary,
# a thousand times that). Where such waits make half of the time or more, they are the story.
_WAIT_NS = 10_000_000
_WAITS_RATIO = 0.5
# Names in `http/` are checksums of 32 or 64 digits; that many characters tell them apart.
_NAME_LENGTH = 32

_SOURCES = (
    Source(
        title="kubectl is slow with a home on NFS (kubernetes#78664)",
        url="https://github.com/kubernetes/kubernetes/issues/78664",
    ),
)


class CacheMetadataSlow:
    """See the module."""

    id = ID
    title = "the file system of the cache is slow"

    def judge(self, case: Case) -> Judgement:
        """Compare the time in cache file calls with the wall time."""
        calls = cache_calls(case, syncs=False)
        spent_ns = case.union_ns(CACHE_FILES)
        if case.is_notable(spent_ns):
            if case.is_waited_for(CACHE_FILES):
                return _suspected(case, calls, spent_ns)
            what = f"{tally(calls, 'file call')} on the cache took {seconds(spent_ns)}"
            return hidden(case, ID, what, CACHE_FILES)
        if missing := (*calls_unseen(case, _ANY), *could_not_look(case, ["cache_directory"])):
            return unknown(ID, "how long cache files took was not seen", missing)
        if case.is_notable(case.attribution.unexplained_ns) and not is_recorded(case, _ANY):
            missing = ("syscalls: file calls were sampled, which misses short ones",)
            return unknown(ID, "not every call on cache files was seen", missing)
        if missing := lost_syscalls(case):
            return unknown(ID, "not every system call was seen", missing)
        astray = unplaced(case, syncs=False)
        if case.is_notable(spent_in(astray)):
            missing = (f"syscalls: the files of calls that took {seconds(spent_in(astray))}",)
            return unknown(ID, f"{counted(len(astray), 'call')} on unknown files", missing)
        return _ruled_out(case, [*calls, *astray])


def _ruled_out(case: Case, calls: list[Syscall]) -> Judgement:
    said = f"{tally(calls, 'file call')} on cache files took {seconds(spent_in(calls))}"
    if not is_recorded(case, _ANY):
        said = f"{case.client} was seen for {seconds(spent_in(calls))} in calls on cache files"
    return Judgement(cause=ID, standing="ruled_out", sentence=said, factors=(CACHE_FILES,))


def _suspected(case: Case, calls: list[Syscall], spent_ns: int) -> Judgement:
    slowest = max(calls, key=lambda call: call.end_ns - call.start_ns)
    slowest_ns = slowest.end_ns - slowest.start_ns
    return Judgement(
        cause=ID,
        standing="suspected",
        sentence=_sentence(case, calls, spent_ns),
        factors=(CACHE_FILES,),
        low_ns=case.exclusive_ns(CACHE_FILES),
        high_ns=spent_ns,
        arithmetic=f"{tally(calls, 'file call')} on the cache = {seconds(spent_ns)}",
        facts=(
            Fact(
                text=(
                    f"{tally(calls, 'file call')} on cache files took {seconds(spent_ns)}, "
                    f"{share_of(spent_ns, case.attribution.wall_ns)} of the wall time"
                ),
                observer=seen_by(calls),
            ),
            Fact(
                text=(
                    f"the slowest, {slowest.name} to {_below(case, slowest)}, "
                    f"took {seconds(slowest_ns)}"
                ),
                observer=seen_by([slowest]),
            ),
            *disk_facts(case),
        ),
        experiments=("cache_on_memory",),
        supporting=("cache_warm", "own_client"),
        remedies=("cache-in-memory",),
        sources=_SOURCES,
    )


def _below(case: Case, call: Syscall) -> str:
    """A cache file's name without the way to it, cut where it is a checksum."""
    cache, path = case.evidence.cache, call.path or ""
    for root in (cache.root, cache.real_root) if cache else ():
        path = path.removeprefix(f"{root}/")
    return path if len(path) <= _NAME_LENGTH else f"{path[:_NAME_LENGTH]}..."


def _sentence(case: Case, calls: list[Syscall], spent_ns: int) -> str:
    cache = case.evidence.cache
    file_system = (cache.file_system if cache else None) or "its file system"
    on = f"{file_system} on {cache.device}" if cache and cache.device else file_system
    waits = [call for call in calls if call.end_ns - call.start_ns >= _WAIT_NS]
    waited_ns = covered_ns(waits)
    if file_system in _JOURNALLING and waited_ns >= _WAITS_RATIO * spent_ns:
        names = "/".join(sorted({call.name for call in waits}))
        return (
            f"{tally(waits, 'file call')} in the cache of {case.client} ({names}) "
            f"waited {seconds(waited_ns)} for the journal of {on}, whose disk is slow to commit"
        )
    return (
        f"the cache of {case.client} lies on {on}, where {tally(calls, 'file call')} "
        f"took {seconds(spent_ns)}"
    )
