"""One API server behind the balancer is dead, silent or slow, and still gets connections.

What it is
    The balancer has no health check, one that looks at the wrong thing, or one that is too patient.
    Every n-th connection meets the bad server: it is tried again after a second where the server
    refuses, after the balancer's `timeout connect` where it is silent, and answered late where it
    is slow.

How it is told apart
    kubelag asks every API server behind the balancer directly, with the right name, and one is not
    as the others are. In the run some connections stall after the client's TLS hello (the balancer
    has accepted them and has nobody to pass them to), or some answers are late, and others not.

What it costs
    A client that opens one connection is slow once in n runs; one that opens many (HTTP/1.1) is
    slow in every run.

Versions
    All clients.

Sources
    HAProxy's configuration manual (option tcp-check, timeout connect, option redispatch),
    kubernetes/website#14258, kubernetes#75765.
"""

from collections.abc import Iterator

from kubelag.causes import way_facts
from kubelag.causes.contract import NOTABLE_NS, Case, innocent, unknown
from kubelag.causes.way_facts import BadBackend, UnevenFront
from kubelag.model.path import PathMap
from kubelag.model.remedy import Advice
from kubelag.model.units import counted, seconds
from kubelag.model.verdict import Fact, Judgement, Source
from kubelag.timeline.factors import CONNECT, DISCOVERY, RETRY, TARGET, TLS

ID = "backend_unwell"

_WORDS = {
    "refused": "refuses connections",
    "silent": "does not answer",
    "slow": "is slow",
}
# A balancer accepts, and then has nobody to pass the connection to; after it broke, clients pause.
_STALLED = (CONNECT, TLS, RETRY)
# Handshakes of one kind differ by less on an idle machine (lab: 1 to 7 ms). Arbitrary.
_STALLED_RATIO = 3.0
_ADVICE = Advice(
    id="let-the-balancer-check",
    summary=(
        "repair the API server that is named, or find it with --haproxy, and let the balancer "
        "check health by asking /readyz over TLS, with a short `timeout connect` and `option "
        "redispatch`"
    ),
    commands=("echo 'show stat' | socat stdio /run/haproxy/admin.sock",),
)
_SOURCES = (
    Source(
        title="HAProxy: health checks, timeout connect, option redispatch",
        url="https://docs.haproxy.org/2.6/configuration.html#4.2-option%20redispatch",
    ),
    Source(
        title="kubernetes#75765: a dead master behind the balancer makes requests hang",
        url="https://github.com/kubernetes/kubernetes/issues/75765",
    ),
)


class BackendUnwell:
    """See the module."""

    id = ID
    title = "one API server behind the balancer is unwell"

    def judge(self, case: Case) -> Judgement:
        """Compare the backends, then look for their mark in the run."""
        path = case.evidence.path
        if path is None and way_facts.is_quick(case, *_STALLED, DISCOVERY, TARGET):
            return innocent(ID, "the command waited neither for connections nor for answers", TLS)
        if path is None:
            return unknown(
                ID, "the API servers behind the address were not tried", way_facts.unprobed(case)
            )
        if way_facts.bad_backends(path):
            return _judged_named(case, path)
        if uneven := way_facts.uneven_front(path):
            return _judged_unnamed(case, path, uneven)
        if not path.behind:
            missing = (f"path: {path.backends_why or 'no API server behind the address is known'}",)
            return unknown(ID, "whether there are API servers behind the address", missing)
        if not way_facts.good_backends(path):
            missing = (f"path: {path.behind[0].error or 'no answer'}, asked directly",)
            return unknown(ID, "no API server behind the address answered kubelag itself", missing)
        return innocent(ID, _all_well(path), TLS)


def _judged_named(case: Case, path: PathMap) -> Judgement:
    """One of the known servers is not as the others are: did this run wait for it?"""
    met = way_facts.met_backends(case)
    if not met:
        bad = way_facts.bad_backends(path)
        return innocent(ID, f"{_named(bad[0])}, and this run did not meet it", TLS)
    factors = (DISCOVERY, TARGET) if met[0].trouble == "slow" else _STALLED
    is_felt = met[0].trouble == "slow" or _has_stalled(case, path)
    if not is_felt or not case.is_waited_for(*factors):
        return innocent(ID, f"{_named(met[0])}, and this run did not wait for it", *factors)
    return _suspected(case, path, met, factors)


def _suspected(
    case: Case, path: PathMap, bad: tuple[BadBackend, ...], factors: tuple[str, ...]
) -> Judgement:
    first = bad[0]
    waited_ns = case.critical_ns(*factors)
    return Judgement(
        cause=ID,
        standing="suspected",
        sentence=(
            f"{_named(first)}, and the balancer still sends connections there; "
            f"{case.client} waited {seconds(waited_ns)}"
        ),
        factors=factors,
        low_ns=case.exclusive_ns(*factors),
        high_ns=case.union_ns(*factors),
        arithmetic=_arithmetic(path, first),
        facts=(*_facts(path), *_met(case, first)),
        experiments=tuple(f"direct_backend:{name}" for name in way_facts.good_backends(path)[:1]),
        supporting=(f"direct_backend:{first.name}",),
        advice=(_ADVICE,),
        sources=_SOURCES,
    )


def _arithmetic(path: PathMap, bad: BadBackend) -> str:
    """A refusal comes at once, so how long it took says nothing."""
    told = f"1 of {counted(len(path.backends), 'API server')} {_WORDS[bad.trouble]}"
    if bad.trouble == "refused":
        return told
    return f"{told}: {seconds(bad.took_ns)} against {seconds(bad.others_ns)} of the others"


def _has_stalled(case: Case, path: PathMap) -> bool:
    """Whether some connection was held up for longer than healthy API servers hold one up.

    Where those are not known, what came through the balancer stands for them.
    """
    good = way_facts.good_backends(path)
    usual = [one for one in path.behind if one.backend in good] or path.front
    usual_ns = way_facts.handshake_ns(usual) or 0
    least_ns = max(NOTABLE_NS, round(_STALLED_RATIO * usual_ns))
    seen = way_facts.connections(case)
    return (
        not seen
        or case.is_waited_for(RETRY)
        or any(one.secured_ns is None or (one.tls_ns or 0) >= least_ns for one in seen)
    )


def _judged_unnamed(case: Case, path: PathMap, uneven: UnevenFront) -> Judgement:
    """Some of the connections through the address fail, and none of the known servers does.

    The Endpoints drop an API server that has gone after some seconds; the balancer may keep it. No
    way round the balancer tells that from a balancer that has too much to do.
    """
    if not case.is_waited_for(*_STALLED) or not _has_stalled(case, path):
        told = f"{uneven.sentence}, and this run did not wait for it"
        return innocent(ID, told, *_STALLED)
    if uneven.is_lossy or any(way_facts.has_moved(one.address, case) for one in path.front):
        missing = ("path: more tries while nothing is lost and the address stays where it is",)
        return unknown(ID, f"{uneven.sentence}, and whose doing that is", missing)
    return Judgement(
        cause=ID,
        standing="suspected",
        sentence=(
            f"{_who_is_unwell(path)}: {uneven.sentence}; "
            f"{case.client} waited {seconds(case.critical_ns(*_STALLED))}"
        ),
        factors=_STALLED,
        low_ns=case.exclusive_ns(*_STALLED),
        high_ns=case.union_ns(*_STALLED),
        arithmetic=uneven.sentence,
        facts=tuple(_who_it_may_be(path)),
        supporting=tuple(f"direct_backend:{name}" for name in way_facts.good_backends(path)[:1]),
        advice=(_ADVICE,),
        sources=_SOURCES,
    )


def _who_is_unwell(path: PathMap) -> str:
    where = f"{path.host}:{path.port}"
    if len(way_facts.good_backends(path)) < max(1, len(path.backends)):
        return f"one of the servers behind {where} is unwell"
    return (
        f"the balancer at {where}, or a server that only it knows, is unwell (the "
        f"{counted(len(path.backends), 'API server')} that are known answered directly)"
    )


def _who_it_may_be(path: PathMap) -> Iterator[Fact]:
    why = path.backends_why or "ask the balancer itself, with --haproxy"
    yield Fact(text=f"which one is not known: {why}", observer="path")
    yield from _facts(path)


def _named(bad: BadBackend) -> str:
    name = bad.name if bad.name == bad.address else f"{bad.name} ({bad.address})"
    return f"the API server {name} {_WORDS[bad.trouble]}"


def _all_well(path: PathMap) -> str:
    times = [probe.answer_ns for probe in path.behind if probe.answer_ns is not None]
    front = [probe.answer_ns for probe in path.front if probe.answer_ns is not None]
    through = f", through it in {seconds(max(front))}" if front else ""
    return (
        f"{counted(len(path.backends), 'API server')} behind the address answered directly in "
        f"{seconds(min(times))} to {seconds(max(times))}{through} (at the slowest)"
    )


def _facts(path: PathMap) -> list[Fact]:
    return [
        Fact(
            text=f"{probe.backend or probe.address}, asked directly: "
            + (
                probe.error
                or f"connect {seconds(probe.connect_ns or 0)}, TLS {seconds(probe.tls_ns or 0)}, "
                f"answer {seconds(probe.answer_ns or 0)}"
            ),
            observer="path",
        )
        for probe in path.behind
    ]


def _met(case: Case, bad: BadBackend) -> list[Fact]:
    """Connections of the run that are known to have met it."""
    met = [one for one in way_facts.connections(case) if one.backend == bad.name]
    if not met:
        return []
    text = f"{counted(len(met), 'connection')} of this run went to {bad.name}"
    return [Fact(text=text, observer=met[0].seen_by)]
