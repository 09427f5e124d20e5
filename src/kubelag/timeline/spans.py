"""Turns events into spans: which factor was in the way, from when to when."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from kubelag.model.attribution import Factor, Span
from kubelag.model.evidence import CacheDirectory, ClientNote, Evidence, Process, Request, Syscall
from kubelag.timeline import factors
from kubelag.timeline.broken import lost_waits
from kubelag.timeline.journeys import Journey, journeys, server_connections
from kubelag.timeline.lookups import lookup_spans
from kubelag.timeline.network_spans import carve, connection_spans, journey_spans

FSYNCS = frozenset({"fsync", "fdatasync", "sync_file_range", "syncfs", "sync"})
_NOT_FILES = frozenset({"connect", "sendto", "recvfrom", "execve", "execveat", "wait4", "waitid"})


def spans_of(evidence: Evidence) -> tuple[Span, ...]:
    """All spans of one observed run, cut to the run, by start time."""
    held = [*_file_spans(evidence), *_held_spans(evidence)]
    carved = (span for one in _asked(evidence) for span in (*one.waiting, *one.on_its_way))
    rest = (*_other_connections(evidence), *_wait_spans(evidence))
    run = evidence.run
    cut = (_cut(span, run.start_ns, run.end_ns) for span in (*held, *carved, *rest))
    return tuple(sorted((span for span in cut if span), key=lambda span: span.start_ns))


def answer_times_ns(evidence: Evidence) -> tuple[tuple[Request, int], ...]:
    """Each request with how long it waited for its answer.

    What the client's log counts into a request although it came before sending is not in it, and
    neither is what its connection spent on the way, as far as that was seen.
    """
    return tuple(
        (one.request, sum(piece.end_ns - piece.start_ns for piece in one.waiting))
        for one in _asked(evidence)
    )


def is_discovery(url: str) -> bool:
    """Whether a request asks what the server serves, rather than for an object."""
    parts = [part for part in urlsplit(url).path.split("/") if part]
    if "api" in parts:
        parts = parts[parts.index("api") :]
        return len(parts) <= 2  # noqa: PLR2004 - /api and /api/v1
    if "apis" in parts:
        parts = parts[parts.index("apis") :]
        return len(parts) <= 3  # noqa: PLR2004 - /apis, /apis/group and /apis/group/version
    return "openapi" in parts[:1]


def is_in_cache(path: str | None, cache: CacheDirectory | None) -> bool:
    """Whether a path lies in the client's cache, by its name or by what its links resolve to."""
    if path is None or cache is None:
        return False
    roots = (cache.root, cache.real_root, cache.link_target)
    return any(root and (path == root or path.startswith(root.rstrip("/") + "/")) for root in roots)


def is_file_call(call: Syscall) -> bool:
    """Whether a call acts on files, rather than on sockets or processes."""
    return call.name not in _NOT_FILES


def is_credential_plugin(process: Process, plugin: str | None) -> bool:
    """Whether a process is the kubeconfig's exec plugin, by the program's name."""
    if plugin is None:
        return False
    name = PurePosixPath(plugin).name
    return any(PurePosixPath(program).name == name for program in (*process.chain, process.program))


def _held_spans(evidence: Evidence) -> Iterator[Span]:
    yield from _process_spans(evidence)
    yield from lookup_spans(evidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """One request, divided."""

    request: Request
    waiting: tuple[Span, ...]
    """When it waited for the server, as far as is known."""
    on_its_way: tuple[Span, ...]
    """What its own connection spent of it."""


def _asked(evidence: Evidence) -> Iterator[_Asked]:
    before = [span for span in _held_spans(evidence) if span.factor in factors.BEFORE_REQUESTS]
    for journey in journeys(evidence):
        request = journey.request
        pieces = tuple(carve(_request_span(request), _come_before(journey, before)))
        lost = tuple(lost_waits(journey, evidence.requests))
        way = (*lost, *(part for span in journey_spans(journey) for part in carve(span, lost)))
        yield _Asked(
            request=request,
            waiting=tuple(part for piece in pieces for part in carve(piece, way)),
            on_its_way=tuple(
                part
                for span in way
                if (part := _cut(span, request.start_ns, request.end_ns)) is not None
            ),
        )


def _come_before(journey: Journey, held: Sequence[Span]) -> Iterator[Span]:
    """What held a request up before it was sent.

    A name is looked up before its connection is dialled: what is asked later, or is still open
    then, is for somebody else.
    """
    connection = journey.connection
    for span in held:
        if connection is None or span.factor != factors.DNS:
            yield span
        elif part := _cut(span, span.start_ns, connection.syn_ns or connection.first_ns):
            yield part


def _other_connections(evidence: Evidence) -> Iterator[Span]:
    """What the connections spent while the log has no request in flight: bodies, for example."""
    asked = [_request_span(request) for request in evidence.requests]
    for connection in server_connections(evidence):
        for span in connection_spans(connection):
            yield from carve(span, asked)


def _file_spans(evidence: Evidence) -> Iterator[Span]:
    for call in evidence.syscalls:
        if is_file_call(call) and call.end_ns > call.start_ns:
            yield Span(
                factor=_file_factor(call, evidence.cache),
                start_ns=call.start_ns,
                end_ns=call.end_ns,
                what=call.path or call.name,
                is_counted=not call.is_sampled,
            )


def _file_factor(call: Syscall, cache: CacheDirectory | None) -> Factor:
    inside = is_in_cache(call.path, cache)
    if call.name in FSYNCS:
        return factors.CACHE_FSYNC if inside else factors.OTHER_FSYNC
    return factors.CACHE_FILES if inside else factors.OTHER_FILES


def _process_spans(evidence: Evidence) -> Iterator[Span]:
    client = _client_process(evidence)
    if client is None:
        return
    yield from _wrapper_spans(evidence, client)
    for child in evidence.processes:
        if child.parent_pid == client.pid:
            plugin = is_credential_plugin(child, evidence.credential_plugin)
            yield Span(
                factor=factors.CREDENTIAL_PLUGIN if plugin else factors.CHILD_PROCESS,
                start_ns=child.start_ns,
                end_ns=child.end_ns or evidence.run.end_ns,
                what=child.program,
            )


def _client_process(evidence: Evidence) -> Process | None:
    """The process that became the real client: the first one, or what a wrapper forked."""
    names = {evidence.client.real_path, evidence.client.executed} - {""}
    became = (one for one in evidence.processes if names & set(one.chain))
    first = (one for one in evidence.processes if one.parent_pid is None)
    return next(became, None) or next(first, None)


def _wrapper_spans(evidence: Evidence, client: Process) -> Iterator[Span]:
    """All that came before the real client was executed, if anything did."""
    wrapped = len(client.chain) > 1 or client.parent_pid is not None
    execs = [
        call.end_ns
        for call in evidence.syscalls
        if call.pid == client.pid and call.name.startswith("execve") and call.error is None
    ]
    if wrapped and execs:
        yield Span(
            factor=factors.WRAPPER,
            start_ns=evidence.run.start_ns,
            end_ns=max(execs),
            what=evidence.processes[0].program,
        )


def _request_span(request: Request) -> Span:
    factor = factors.DISCOVERY if is_discovery(request.url) else factors.TARGET
    return Span(
        factor=factor,
        start_ns=request.start_ns,
        end_ns=request.end_ns,
        what=f"{request.verb} {request.url}",
    )


def _wait_spans(evidence: Evidence) -> Iterator[Span]:
    for note in evidence.notes:
        if note.kind in {"throttled", "retry_after"} and note.wait_ns > 0:
            yield Span(
                factor=_wait_factor(note, evidence),
                start_ns=note.at_ns - note.wait_ns,
                end_ns=note.at_ns,
                what=note.subject,
            )


def _wait_factor(note: ClientNote, evidence: Evidence) -> Factor:
    if note.kind == "throttled":
        return factors.CLIENT_THROTTLE
    return factors.RETRY_AFTER if is_told_by_server(note, evidence) else factors.RETRY


def is_told_by_server(note: ClientNote, evidence: Evidence) -> bool:
    """Whether a pause was asked for by the server (429, 503).

    After a connection that broke, a client pauses a second by itself and logs the same words
    (client-go's with_retry.go).
    """
    asked = [one for one in evidence.requests if one.url == note.subject]
    before = [one for one in asked if one.end_ns <= note.at_ns]
    return not before or before[-1].status is not None


def _cut(span: Span, start_ns: int, end_ns: int) -> Span | None:
    first, last = max(span.start_ns, start_ns), min(span.end_ns, end_ns)
    return replace(span, start_ns=first, end_ns=last) if first < last else None
