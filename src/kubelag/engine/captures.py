"""Packet captures that the user brings: joined to an observed run, or explained by themselves."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kubelag.errors import CaptureError
from kubelag.model.evidence import Client, Evidence, Look, Run
from kubelag.model.network import Connection
from kubelag.model.units import counted
from kubelag.observe.connections import Watched, merged, merged_lookups
from kubelag.observe.machine import machine
from kubelag.observe.network_watch import about, concerning
from kubelag.timeline.journeys import server_connections

# The reading of packets takes 50 ms and more to load: only for who brings a capture.
if TYPE_CHECKING:
    from kubelag.observe.capture.wanted import CaptureSeen

OBSERVER = "capture"
# A capture is begun before a run and ended after it; what lies further away is another run's.
# Arbitrary.
_MARGIN_NS = 5_000_000_000
# What the sockets' watcher keeps to at the least (its own measurement: 50 looks a second).
_LOOKS_NS = 20_000_000
_ALONE = "a capture alone was given"
_OTHERS = (
    "syscalls",
    "calls_in_flight",
    "debug_log",
    "process_tree",
    "host",
    "kubeconfig",
    "cache_directory",
    "path",
    "sockets",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What the user gave."""

    near: Path | None = None
    """Taken on this machine; None where our own capture is the near one."""
    far: Path | None = None
    """Taken at the other end."""


def with_captures(evidence: Evidence, files: Files, live: "CaptureSeen | None" = None) -> Evidence:
    """The evidence, with what the captures tell of the run's connections.

    Args:
        evidence: One observed run.
        files: The captures.
        live: Our own capture of that run, where there was one.

    Raises:
        CaptureError: One of them cannot be read, or has nothing of this run.
    """
    if files.near is None and files.far is None:
        return evidence
    near = live
    if files.near is not None:
        near = _read(files.near, evidence)
        evidence = _with_near(evidence, near, files.near)
    if files.far is None:
        return evidence
    if near is None:
        raise CaptureError(
            f"{files.far} has nothing to be compared with", "give the near one too with --pcap"
        )
    from kubelag.observe.capture.comparing import compare  # noqa: PLC0415 - as said above

    far = _read(files.far)
    captures = (*evidence.captures, far.file)
    ran = evidence.run.start_ns, evidence.run.end_ns
    return replace(evidence, captures=captures, comparison=compare(near, far, ran))


def evidence_of(files: Files) -> Evidence:
    """What captures tell by themselves, of whatever ran meanwhile.

    Raises:
        CaptureError: One of them cannot be read, or holds no connection.
    """
    if files.near is None:
        raise CaptureError("There is no capture to read", "name one with --pcap")
    near = _read(files.near)
    if not near.connections:
        raise CaptureError(f"{files.near} holds no TCP connection", "capture with: tcp or port 53")
    seen = Evidence(
        command=(files.near.name,),
        cold=False,
        repeatable=True,
        repeatable_why="nothing was run",
        run=Run(start_ns=near.file.start_ns, end_ns=near.file.end_ns, exit_code=0),
        machine=machine(),
        client=Client(name="the captured client", path="", real_path=""),
        cache=None,
        looks=(_look(near, files.near), *_not_asked()),
        lookups=near.lookups,
        connections=near.connections,
        messages=near.messages,
        captures=(near.file,),
    )
    return with_captures(seen, Files(far=files.far), near)


def _read(source: Path, around: Evidence | None = None) -> "CaptureSeen":
    """All of a capture, or what of it lies around a run."""
    from kubelag.observe.capture.reading import read_capture  # noqa: PLC0415 - as said above
    from kubelag.observe.capture.wanted import Wanted  # noqa: PLC0415 - the same

    if around is None:
        return read_capture(source, Wanted())
    run = around.run
    begin_ns, end_ns = run.start_ns - _MARGIN_NS, run.end_ns + _MARGIN_NS
    return read_capture(source, Wanted(start_ns=begin_ns, end_ns=end_ns))


def _with_near(evidence: Evidence, near: "CaptureSeen", source: Path) -> Evidence:
    """What was known of each connection stays, and who saw the packets tells the rest."""
    run, known = evidence.run, evidence.connections
    watched = Watched(start_ns=run.start_ns, end_ns=run.end_ns, interval_ns=_LOOKS_NS)
    is_watched = evidence.has_looked("sockets")
    joint = merged(near.connections, known, watched if is_watched else None)
    found = tuple(one.waited_until(run.end_ns) for one in joint)
    joined = replace(evidence, connections=_with_backends(found, known))
    _check_ours(server_connections(joined), near, evidence, source)
    others = tuple(look for look in evidence.looks if look.observer != OBSERVER)
    witnessed = evidence.lookups
    asked = tuple(
        one for one in near.lookups if any(about([one], name, witnessed) for name in _names(joined))
    )
    return replace(
        joined,
        lookups=merged_lookups(asked, (), evidence.lookups),
        messages=concerning(near.messages, joined.connections),
        captures=(near.file,),
        looks=(*others, _look(near, source)),
    )


def _with_backends(
    found: Sequence[Connection], known: Sequence[Connection]
) -> tuple[Connection, ...]:
    """What a balancer said during the run, no capture says."""
    served = {(one.client, one.server): one.backend for one in known}
    return tuple(
        replace(one, backend=served.get((one.client, one.server), one.backend)) for one in found
    )


def _names(evidence: Evidence) -> frozenset[str]:
    """What the command looks up for its server; never empty, and an address asks for nothing."""
    hosts = {urlsplit(request.url).hostname or "" for request in evidence.requests}
    path = evidence.path
    proxy = path.proxy.rpartition(":")[0] if path else ""
    return frozenset({*hosts, path.host if path else "", proxy})


def _check_ours(
    found: Sequence[Connection], near: "CaptureSeen", evidence: Evidence, source: Path
) -> None:
    """A capture that has nothing of this run would read as a run without connections."""
    captured = {(one.client, one.server, one.first_ns) for one in near.connections}
    is_ours = any((one.client, one.server, one.first_ns) in captured for one in found)
    if (evidence.requests or evidence.connections) and not is_ours:
        raise CaptureError(
            f"{source} holds no connection of this run to its API server",
            "give a capture that was taken on this machine while the command ran",
        )


def _look(seen: "CaptureSeen", source: Path) -> Look:
    notes = "; ".join(seen.file.notes)
    how = f"{source.name}, {counted(seen.file.packets, 'packet')}{'; ' if notes else ''}{notes}"
    return Look(
        observer=OBSERVER,
        state="looked",
        how=how,
        events=seen.file.packets,
        lost=seen.file.lost_packets,
    )


def _not_asked() -> tuple[Look, ...]:
    return tuple(Look(observer=name, state="not_asked", how=_ALONE) for name in _OTHERS)
