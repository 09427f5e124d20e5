"""Reads a Kubernetes client's debug log as it comes, and lets the client's own words through.

Every format from kubectl 1.20 to 1.37 at -v 6, and at 7 to 10 what can be told apart: at 7 and 8
the answers carry no URL, and 1.23 at 9 has statistics instead of answers. Only parsed and redacted
facts are kept; bodies, headers and curl lines are dropped as they pass.

What kubectl 1.20 does to itself at -v 6 (measured): a failing command logs its error at level F,
dumps every goroutine and exits with 255 instead of 1. The error is let through as the user would
have seen it, the dump is not.
"""

import re
from collections.abc import Iterator
from datetime import tzinfo
from typing import NamedTuple

from kubelag.kube.redact import redact_text
from kubelag.model.evidence import ClientNote, Look, Request
from kubelag.observe.klog_lines import (
    LogLine,
    could_be_header,
    epoch_ns,
    fields,
    goes_on_below,
    read_line,
    title,
)
from kubelag.observe.log_bodies import Body, body_in
from kubelag.observe.log_notes import note_in

OBSERVER = "debug_log"
# A longer line is a body at -v 10; its beginning is enough, and memory stays bounded.
_LINE_KEPT_BYTES = 256 * 1024
_DUMP = b"goroutine "

_ANSWER = re.compile(r"([A-Z]+) (\S+) (?:(\d{3})[^\n]*?)? ?in (\d+) milliseconds$")
_BARE_ANSWER = re.compile(r"Response Status: (?:(\d{3})[^\n]*?)? ?in (\d+) milliseconds$")
_STATISTICS = re.compile(r"HTTP Statistics: .*\bDuration (\d+) ms$")


class ClientLog(NamedTuple):
    """What a client's debug log told."""

    requests: tuple[Request, ...]
    """By their beginning."""
    notes: tuple[ClientNote, ...]
    look: Look
    is_fatal_dump: bool
    """True where an old client ended with a goroutine dump: exit code 255 stands for 1."""


class DebugLogReader:
    """Takes a client's standard error in pieces.

    Args:
        started_ns: When the observed run began, since the epoch.
        zone: The client's time zone; the machine's own where None.
    """

    def __init__(self, started_ns: int, *, zone: tzinfo | None = None) -> None:
        self._facts = _Facts(started_ns, zone)
        self._line = bytearray()
        self._is_passing = False
        self._is_after_fatal = False
        self._is_dumping = False
        self._is_shown = False
        self._entry: LogLine | None = None
        self._body: Body | None = None

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, and return those that the user should see."""
        return b"".join([self._piece(piece) for piece in _pieces(data)])

    def close(self) -> bytes:
        """Take what is left without a newline at its end, and return what the user should see."""
        shown = self._finished(bytes(self._line)) if self._line else b""
        self._line.clear()
        self._finish_entry()
        return shown

    def result(self) -> ClientLog:
        """Everything so far."""
        return self._facts.result(is_fatal_dump=self._is_dumping)

    def _piece(self, piece: bytes) -> bytes:
        """A part of one line, with its newline if that has come."""
        is_whole = piece.endswith(b"\n")
        if self._is_dumping:
            return b""
        if self._is_passing:
            self._is_passing = not is_whole
            return piece
        self._line += piece[: max(0, _LINE_KEPT_BYTES - len(self._line))]
        if is_whole:
            line = bytes(self._line).removesuffix(b"\n") + b"\n"
            self._line.clear()
            return self._finished(line)
        return self._released()

    def _released(self) -> bytes:
        """What can be shown of an unfinished line: a prompt must not wait for its newline."""
        if self._entry or self._body or self._may_be_log():
            return b""
        self._is_passing = True
        line = bytes(self._line)
        self._line.clear()
        return line

    def _may_be_log(self) -> bool:
        if self._is_after_fatal and _DUMP.startswith(bytes(self._line[: len(_DUMP)])):
            return True
        return could_be_header(self._line[:32].decode("latin-1"))

    def _finished(self, line: bytes) -> bytes:
        """One whole line: what of it the user should see."""
        text = line.decode(errors="replace").removesuffix("\n")
        head = read_line(text)
        if head is not None:
            return self._log_line(head, line)
        if self._entry and self._goes_on(self._entry, text):
            return line if self._is_shown else b""
        if self._body and self._body.take(text):
            self._body = None if self._body.is_done else self._body
            return b""
        self._body = None
        self._is_dumping = self._is_after_fatal and line.startswith(_DUMP)
        return b"" if self._is_dumping else line

    def _log_line(self, head: LogLine, line: bytes) -> bytes:
        self._finish_entry()
        # Warnings and errors are printed without -v as well.
        self._is_shown = head.level in "WE"
        self._is_after_fatal = head.level == "F"
        self._body = None
        if goes_on_below(head.message):
            self._entry = head
        else:
            self._facts.add(head)
            body = body_in(head.message)
            self._body = None if body is None or body.is_done else body
        if self._is_after_fatal:
            return line.partition(b"] ")[2]
        return line if self._is_shown else b""

    def _goes_on(self, entry: LogLine, text: str) -> bool:
        """Whether a line belongs to the structured entry above; its last line begins with ` >`."""
        if text.startswith("\t") or not text:
            return True
        if not text.startswith(" >"):
            self._finish_entry()
            return False
        self._entry = entry._replace(message=entry.message + text[2:])
        if not goes_on_below(text):
            self._finish_entry()
        return True

    def _finish_entry(self) -> None:
        if self._entry:
            self._facts.add(self._entry)
        self._entry = None


class _Facts:
    """What the log lines told, nothing of how they told it."""

    def __init__(self, started_ns: int, zone: tzinfo | None) -> None:
        self._started_ns = started_ns
        self._zone = zone
        self._lines = 0
        self._requests: list[Request] = []
        self._notes: list[ClientNote] = []
        self._has_answers = False

    def add(self, line: LogLine) -> None:
        self._lines += 1
        at_ns = epoch_ns(line.stamp, self._started_ns, self._zone)
        if at_ns is None:
            return
        request = self._request_in(line.message, at_ns)
        if request:
            self._requests.append(request)
        elif note := note_in(line, at_ns):
            self._notes.append(note)

    def _request_in(self, message: str, at_ns: int) -> Request | None:
        if found := _ANSWER.match(message):
            self._has_answers = True
            return _request(found[1], found[2], found[3], found[4], at_ns)
        if found := _BARE_ANSWER.match(message):
            self._has_answers = True
            return _request("", "", found[1], found[2], at_ns)
        if title(message) == "Response":
            told = fields(message)
            status, took_ms = told.get("status", "")[:3], told.get("milliseconds", "")
            return _request(told.get("verb", ""), told.get("url", ""), status, took_ms, at_ns)
        # Only 1.23 at -v 9 has statistics without an answer before them.
        found = None if self._has_answers else _STATISTICS.match(message)
        return _request("", "", None, found[1], at_ns) if found else None

    def result(self, *, is_fatal_dump: bool) -> ClientLog:
        how = f"{self._lines} lines of the client's debug log"
        look = Look(
            observer=OBSERVER,
            state="looked" if self._lines else "could_not_look",
            how=how if self._lines else "the client printed no debug log",
            events=len(self._requests) + len(self._notes),
        )
        requests = sorted(self._requests, key=lambda one: (one.start_ns, one.end_ns, one.url))
        return ClientLog(tuple(requests), tuple(self._notes), look, is_fatal_dump)


def _request(verb: str, url: str, status: str | None, took_ms: str, at_ns: int) -> Request | None:
    if not took_ms.isascii() or not took_ms.isdigit():
        return None
    return Request(
        verb=verb,
        url=redact_text(url),
        status=int(status) if status and status.isascii() and status.isdigit() else None,
        start_ns=at_ns - int(took_ms) * 1_000_000,
        end_ns=at_ns,
    )


def _pieces(data: bytes) -> Iterator[bytes]:
    """The bytes cut behind every newline, and behind nothing else."""
    begin = 0
    while begin < len(data):
        newline = data.find(b"\n", begin)
        end = newline + 1 if newline >= 0 else len(data)
        yield data[begin:end]
        begin = end
