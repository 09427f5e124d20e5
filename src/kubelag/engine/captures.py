"""Packet captures that the user brings: joined to an observed run, or explained by themselves."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kubelag.errors import CaptureError
from kubelag.model.evidence import Client, Evidence, Look, Run
from kubelag.model.network import Connection
from kubelag.model.units import counted
from kubelag.observe.capture.comparing import compare
from kubelag.observe.capture.reading import read_capture
from kubelag.observe.capture.wanted import CaptureSeen, Wanted
from kubelag.observe.connections import Watched, merged, merged_lookups
from kubelag.observe.machine import machine
from kubelag.timeline.journeys import server_connections

OBSERVER = "capture"
# A capture is begun before a run and ended after it; what lies further away is another run's.
# Arbitrary.
_MARGIN_NS = 5_000_000_000
# What the sockets' watcher keeps to at the least (its own measurement: 50 looks a second).
_LOOKS_NS = 20_000_000
_ALONE = "a capture alone was given"


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What the user gave."""

    near: Path | None = None
    """Taken on this machine; None where our own capture is the near one."""
    far: Path | None = None
    """Taken at the other end."""


def with_captures(evidence: Evidence, files: Files, live: CaptureSeen | None = None) -> Evidence:
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
        near = read_capture(files.near, _around(evidence))
        evidence = _with_near(evidence, near, files.near)
    if files.far is None:
        return evidence
    if near is None:
        raise CaptureError(
            f"{files.far} has nothing to be compared with", "give the near one too with --pcap"
        )
    far = read_capture(files.far, Wanted())
    captures = (*evidence.captures, far.file)
    return replace(evidence, captures=captures, comparison=compare(near, far))


def evidence_of(files: Files) -> Evidence:
    """What captures tell by themselves, of whatever ran meanwhile.

    Raises:
        CaptureError: One of them cannot be read, or holds no connection.
    """
    if files.near is None:
        raise CaptureError("There is no capture to read", "name one with --pcap")
    near = read_capture(files.near, Wanted())
    if not near.connections:
        raise CaptureError(f"{files.near} holds no TCP connection", "capture with: tcp or port 53")
    far = read_capture(files.far, Wanted()) if files.far else None
    nobody = Client(name=files.near.name, path="", real_path="")
    return Evidence(
        command=("(capture)", files.near.name),
        cold=False,
        repeatable=False,
        repeatable_why="a capture cannot be run again",
        run=Run(start_ns=near.file.start_ns, end_ns=near.file.end_ns, exit_code=0),
        machine=machine(),
        client=nobody,
        cache=None,
        looks=(_look(near, files.near), *_not_asked()),
        lookups=near.lookups,
        connections=near.connections,
        messages=near.messages,
        captures=(near.file, far.file) if far else (near.file,),
        comparison=compare(near, far) if far else None,
    )


def _around(evidence: Evidence) -> Wanted:
    run = evidence.run
    return Wanted(start_ns=run.start_ns - _MARGIN_NS, end_ns=run.end_ns + _MARGIN_NS)


def _with_near(evidence: Evidence, near: CaptureSeen, source: Path) -> Evidence:
    sockets = [one for one in evidence.connections if one.seen_by == "sockets"]
    is_watched = evidence.has_looked("sockets")
    run = evidence.run
    watched = Watched(start_ns=run.start_ns, end_ns=run.end_ns, interval_ns=_LOOKS_NS)
    found = merged(near.connections, sockets, watched if is_watched else None)
    joined = replace(evidence, connections=found)
    _check_ours(server_connections(joined), evidence, source)
    others = tuple(look for look in evidence.looks if look.observer != OBSERVER)
    return replace(
        joined,
        lookups=merged_lookups(near.lookups, (), evidence.lookups),
        messages=near.messages,
        captures=(near.file,),
        looks=(*others, _look(near, source)),
    )


def _check_ours(found: Sequence[Connection], evidence: Evidence, source: Path) -> None:
    """A capture that has nothing of this run would read as a run without connections."""
    if evidence.requests and not any(one.seen_by == "capture" for one in found):
        raise CaptureError(
            f"{source} holds no connection of this run to its API server",
            "give a capture that was taken on this machine while the command ran",
        )


def _look(seen: CaptureSeen, source: Path) -> Look:
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
    names = ("syscalls", "debug_log", "process_tree", "host", "path", "sockets")
    return tuple(Look(observer=name, state="could_not_look", how=_ALONE) for name in names)
