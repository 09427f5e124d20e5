"""The same command, told by its cache that the group-versions which fail or are empty hold nothing.

No client ever caches a group-version that fails or is empty, so each command asks for it again;
but all of them believe a list of no resources that lies there. What that removes differs:

- Up to 1.25 a client looks into the cache for each group-version by itself, also where the rest
  of the cache is empty. A stub in the observed state removes the three requests for that one and
  nothing else (1.20.2 on 77 group-versions, one failing and one empty: 86 requests become 80 on
  an empty cache, 7 become 1 on a full one).
- From 1.26 on one group-version that is missing makes the client ask for all of them again. On a
  full cache the stub removes that whole round, the failing answer and its three repetitions in it
  (1.27 and 1.33: 85 requests become 1).
- From 1.26 on with an empty cache the client asks for everything at once, and looks at a stub only
  before it repeats (85 become 82). There a full cache with stubs is compared with a full cache
  without: what is removed is what these group-versions cost every command from the second on. It
  is what they cost the first one too, and the rest of that round besides.
"""

import re
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

from kubelag.experiments.contract import NotApplicableError, Situation, Treatment, Variant
from kubelag.experiments.scratch import GROUP_VERSION
from kubelag.kube.versions import Version, parse_version
from kubelag.model.evidence import Evidence, Request

_RESOURCE_LIST = re.compile(r"/(?:apis/(?P<group>[^/]+/[^/]+)|api/(?P<core>[^/]+))/?")
_ASKS_ALL_ANEW = Version(1, 26)
"""From here on a memory cache that is filled at once stands behind the files (client-go v0.26,
`cached_discovery.go`, `memcache.go`)."""
_FAILED = 400
_COMPLAINTS = frozenset({"discovery_failed", "cache_skipped"})


class DiscoveryStubbed:
    """See the module."""

    id = "discovery_stubbed"
    title = "without failing and empty API groups"

    def vary(self, situation: Situation) -> tuple[Treatment, ...]:
        """The command with stubs in its cache."""
        evidence, unchanged = situation.evidence, situation.unchanged
        version = parse_version(evidence.client.version or "")
        if version is None:
            raise NotApplicableError("how this client uses its cache is not known")
        if unchanged.cache == "own":
            raise NotApplicableError("the cache cannot be written, so nothing stays in it anyway")
        stubs = tuple(troubled(evidence, version))
        if not stubs and not any(note.kind in _COMPLAINTS for note in evidence.notes):
            raise NotApplicableError("no group-version was seen to fail or to be empty")
        named = ", ".join(stubs) or "each API group that fails or is empty"
        stubbed = unchanged.but(shown=f"(with an empty list in the cache for {named})")
        if _was_warm(evidence):
            return (Treatment(variant=stubbed.but(fills_gaps=True)),)
        if version >= _ASKS_ALL_ANEW:
            return _on_a_full_cache(unchanged, stubbed)
        if not stubs:
            raise NotApplicableError("which group-versions fail or are empty was not seen")
        return (Treatment(variant=stubbed.but(stubs=stubs)),)


def _on_a_full_cache(unchanged: Variant, stubbed: Variant) -> tuple[Treatment, ...]:
    full = unchanged.but(cache="warmed", shown="(with a full cache)")
    return (
        Treatment(
            label="stubbed", variant=stubbed.but(cache="warmed", fills_gaps=True), against="full"
        ),
        Treatment(label="full", variant=full),
    )


def troubled(evidence: Evidence, version: Version) -> list[str]:
    """The group-versions that failed or were empty, each once, in the order in which it showed."""
    asked = [(name, one) for one in evidence.requests if (name := _group_version(one.url))]
    times = Counter(name for name, _ in asked)
    failed = [name for name, request in asked if _has_failed(request)]
    # An old client asks again only for what it has not kept.
    again = [
        name
        for name, _ in asked
        if version < _ASKS_ALL_ANEW and (times[name] > 1 or _was_warm(evidence))
    ]
    found = dict.fromkeys((*failed, *_complained_of(evidence), *again))
    return [name for name in found if GROUP_VERSION.fullmatch(name)]


def _complained_of(evidence: Evidence) -> Iterator[str]:
    """`metrics.k8s.io/v1beta1: the server is currently unable to handle the request`."""
    for note in evidence.notes:
        if note.kind == "discovery_failed" and "/" in note.subject.partition(":")[0]:
            yield note.subject.partition(":")[0]


def _group_version(url: str) -> str:
    """Whose list of resources it asks for; empty for anything else."""
    found = _RESOURCE_LIST.search(urlsplit(url).path)
    if found is None or found.end() != len(urlsplit(url).path):
        return ""
    return found["group"] or found["core"]


def _has_failed(request: Request) -> bool:
    return request.status is None or request.status >= _FAILED


def _was_warm(evidence: Evidence) -> bool:
    return not evidence.cold and evidence.cache is not None and evidence.cache.state == "warm"
