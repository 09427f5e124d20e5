"""The top of a report: what was run, how long it took, how it ended, and the cause."""

import shlex
from collections.abc import Iterator
from signal import Signals

from kubelag.model import units
from kubelag.model.report import CommandLine, Report
from kubelag.report.blocks import Block, Gap, Paragraph, Piece, Verbatim
from kubelag.report.verdicts import label, leading

NOTABLE_RATIO = 0.2
"""A saving below this part of the wall time proves nothing (design threshold, arbitrary)."""
_STDERR_LINES = 5
"""Arbitrary: what a reader takes in at a glance; the JSON has them all."""


def header(report: Report) -> Iterator[Block]:
    """Everything above the first table."""
    yield _line(Piece(shlex.join(report.command.argv), "strong"))
    yield _line(*_took(report))
    yield _line(Piece(_circumstances(report), "muted"))
    yield from _ending(report)
    yield Gap()
    yield _cause(report)


def _took(report: Report) -> Iterator[Piece]:
    wall_s, expected_s = report.wall_s, report.expected_s
    took = units.duration(wall_s)
    verb = "stopped after " if report.command.interrupted else ""
    if expected_s is None:
        yield Piece(f"{verb}{took}", "slow" if leading(report) else "strong")
        return
    should = units.beside(expected_s, wall_s)
    if expected_s > wall_s * (1 - NOTABLE_RATIO):
        yield Piece(f"{verb}{took}", "strong")
        yield Piece(f"; about what it should be ({should})")
    else:
        yield Piece(f"{verb}{took}", "slow")
        yield Piece("; ")
        yield Piece(f"should be {should}", "fast")
    if report.expected_why:
        yield Piece(f", {report.expected_why}", "muted")


def _circumstances(report: Report) -> str:
    command = report.command
    parts = [
        f"{command.client} ({command.client_path})" if command.client_path else command.client,
        f"behind {', '.join(command.wrappers)}" if command.wrappers else "",
        f"on {report.host}" if report.host else "",
        _cache_used(report),
    ]
    return ", ".join(part for part in parts if part)


def _cache_used(report: Report) -> str:
    if report.command.cold:
        return "with a fresh, empty cache"
    return "with the user's own cache" if report.cache else ""


def _ending(report: Report) -> Iterator[Block]:
    """What a reader must know before believing the figures below."""
    command = report.command
    if command.interrupted:
        yield _warning("Interrupted: ", "the figures tell only what was seen until then")
    elif command.signal is not None:
        yield _warning("Killed: ", f"it was ended by {_signal_name(command.signal)}")
    elif command.exit_code:
        yield _warning("Failed: ", f"it ended with exit code {command.exit_code}")
    yield from _stderr(command)
    if not command.repeatable:
        yield _warning("Watched once: ", "it may change something, so nothing below is proven")


def _stderr(command: CommandLine) -> Iterator[Block]:
    lines = [line for line in command.stderr_tail.splitlines() if line.strip()]
    for line in lines[-_STDERR_LINES:]:
        yield Verbatim(text=line, tone="muted", indent=2)


def _cause(report: Report) -> Block:
    """The label says how certain it is, so the headline's own hedge before the sentence goes."""
    verdict = leading(report)
    if verdict is None:
        return _line(Piece(report.headline, "strong"))
    text, tone = label(verdict.verdict)
    is_echo = report.headline.endswith(verdict.sentence)
    said = verdict.sentence if is_echo else report.headline
    return _line(Piece(f"{text}: ", tone), Piece(said))


def _warning(title: str, text: str) -> Paragraph:
    return _line(Piece(title, "warning"), Piece(text))


def _signal_name(number: int) -> str:
    try:
        return Signals(number).name
    except ValueError:
        return f"signal {number}"


def _line(*pieces: Piece) -> Paragraph:
    return Paragraph(pieces=pieces, indent=0)
