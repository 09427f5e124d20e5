"""The client cannot write its discovery cache, so every command discovers everything anew.

What it is
    A read-only file system, files left by root after `sudo kubectl`, a full disk, or a link whose
    target is gone (a cache linked to /dev/shm after a reboot). The client says nothing at normal
    verbosity; up to 1.25 every lookup then asks again, three times for each group-version.

How it is told apart
    Every run is slow, the second as the first; no cache file gets a fresh time stamp; file calls
    below the cache fail with EACCES, EROFS, ENOSPC, ENOTDIR or EEXIST.

What it costs
    Up to 1.25: 3 x group-versions + 1 requests for every command, and then the client's own rate
    limit; from 1.26 all of discovery once for every command.

Versions
    All; worst up to 1.25.

Sources
    kubernetes/kubernetes issues 59356 and 103900; kubernetes/kubectl issue 1077.
"""

from collections import Counter

from kubelag.causes.contract import Case, could_not_look, unknown
from kubelag.model.units import counted, seconds
from kubelag.model.verdict import Fact, Judgement, Source
from kubelag.timeline.factors import CLIENT_THROTTLE, DISCOVERY
from kubelag.timeline.spans import is_discovery, is_in_cache

ID = "cache_unwritable"

_COST = (DISCOVERY, CLIENT_THROTTLE)
_REFUSALS = frozenset({"EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT", "ENOTDIR"})
_BROKEN = frozenset({"unwritable", "dangling_link"})
_SOURCES = (
    Source(
        title="kubectl is slow when its cache cannot be written (kubernetes#59356)",
        url="https://github.com/kubernetes/kubernetes/issues/59356",
    ),
)


class CacheUnwritable:
    """See the module."""

    id = ID
    title = "the discovery cache cannot be written"

    def judge(self, case: Case) -> Judgement:
        """Look at the directory, at failed calls and at the client's own words."""
        cache = case.evidence.cache
        if missing := could_not_look(case, ["cache_directory"]):
            return unknown(ID, "the cache directory was not looked at", missing)
        failed = _failures(case)
        if cache is None or (cache.state not in _BROKEN and not failed and not _complaints(case)):
            return Judgement(
                cause=ID, standing="ruled_out", sentence=f"{case.cache_name} can be written"
            )
        return _suspected(case, failed)


def _failures(case: Case) -> Counter[str]:
    """What went wrong on cache files, and how often."""
    evidence = case.evidence
    return Counter(
        call.error
        for call in evidence.syscalls
        if call.error in _REFUSALS and is_in_cache(call.path, evidence.cache)
    )


def _complaints(case: Case) -> int:
    """How often the client's log says that a cache file could not be written."""
    return sum(note.kind == "cache_write_failed" for note in case.evidence.notes)


def _suspected(case: Case, failed: Counter[str]) -> Judgement:
    cache = case.evidence.cache
    asked = sum(is_discovery(request.url) for request in case.evidence.requests)
    problem = (cache.problem if cache else None) or ", ".join(failed) or "writes fail"
    root = cache.root if cache else "its cache"
    problem = problem.removeprefix(f"{root} is ")
    return Judgement(
        cause=ID,
        standing="suspected",
        sentence=(
            f"{case.client} cannot write its cache {root} ({problem}), so every command sends "
            f"{counted(asked, 'discovery request')} again"
        ),
        factors=_COST,
        low_ns=case.exclusive_ns(*_COST),
        high_ns=case.union_ns(*_COST),
        arithmetic=(
            f"{counted(asked, 'discovery request')} and the client's own rate limit = "
            f"{seconds(case.union_ns(*_COST))}"
        ),
        facts=(
            Fact(text=f"{root}: {problem}", observer="cache_directory"),
            *_refusals(failed),
            *_complaint_facts(_complaints(case)),
        ),
        experiments=("cache_warm",),
        supporting=("cache_on_memory",),
        remedies=("repair-cache-link", "writable-cache")
        if cache and cache.state == "dangling_link"
        else ("writable-cache",),
        sources=_SOURCES,
    )


def _refusals(failed: Counter[str]) -> tuple[Fact, ...]:
    return tuple(
        Fact(text=f"{counted(count, 'file call')} refused with {error}", observer="syscalls")
        for error, count in failed.most_common(3)
    )


def _complaint_facts(count: int) -> tuple[Fact, ...]:
    text = f"{counted(count, 'cache file')} could not be written, says the client's log"
    return (Fact(text=text, observer="debug_log"),) if count else ()
