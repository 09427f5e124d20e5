"""`--timings` and `-v`: where a command's time went, request by request, on standard error."""

import os
import sys
import time

from kubelag.cli.patience import Patience
from kubelag.kube.transport.events import Phase, RequestDone, Waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubelag.kube.transport.events import Event

_NS_PER_MS = 1_000_000
_REQUESTS_FROM, _PHASES_FROM = 6, 9
"""Levels of `-v`, as kubectl has them."""
_COLUMNS = ("dns", "connect", "proxy", "tls", "credential", "wait", "server", "transfer")


class Recorder:
    """Keeps what the client's observer is told, and prints it.

    Args:
        verbosity: As `-v`.
        began_ns: When this program's own code began to run; `time.perf_counter_ns`.
    """

    def __init__(self, verbosity: int, began_ns: int) -> None:
        self._verbosity = verbosity
        self._began_ns = began_ns
        self._phases: list[Phase] = []
        self._done: list[RequestDone] = []
        self._patience = Patience()

    def __call__(self, event: "Event") -> None:
        """Take one event."""
        if isinstance(event, Waiting):
            self._patience(event)
            return
        self.clear()
        if isinstance(event, RequestDone):
            self._done.append(event)
            if self._verbosity >= _REQUESTS_FROM:
                print(_request_line(event), file=sys.stderr)
        else:
            self._phases.append(event)
            if self._verbosity >= _PHASES_FROM:
                print(_phase_line(event), file=sys.stderr)

    def clear(self) -> None:
        """Take away the line on what is waited for."""
        self._patience.clear()

    def table(self, ended_ns: int) -> str:
        """Every request with its phases, and what was spent outside of requests."""
        columns = [name for name in _COLUMNS if any(one.kind == name for one in self._phases)]
        rows = [("REQUEST", "STATUS", *(name.upper() for name in columns), "TOTAL")]
        done = sorted(self._done, key=lambda one: one.request)
        rows += [self._row(one, columns) for one in done]
        widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
        lines = [_aligned(row, widths) for row in rows] if done else []
        return "\n".join([*lines, "", *self._sums(ended_ns)])

    def _row(self, done: RequestDone, columns: "Sequence[str]") -> "tuple[str, ...]":
        spent = [self._spent_ns(name, done) for name in columns]
        status = str(done.status) if done.status is not None else "none"
        cells = (_ms(value) if value is not None else "" for value in spent)
        return (f"{done.method} {done.target}", status, *cells, _ms(done.ended_ns - done.began_ns))

    def _spent_ns(self, name: str, done: RequestDone) -> int | None:
        """Of phases of a whole connection, the request that it was made for bears them."""
        bearer = self._bearers().get(done.connection or 0) == done.request
        found = [
            phase.ended_ns - phase.began_ns
            for phase in self._phases
            if phase.kind == name
            and (
                phase.request == done.request
                or (phase.request is None and bearer and phase.connection == done.connection)
            )
        ]
        return sum(found) if found else None

    def _bearers(self) -> dict[int, int]:
        """By connection, the first request on it."""
        bearers: dict[int, int] = {}
        for done in self._done:
            if done.connection:
                bearers[done.connection] = min(
                    done.request, bearers.get(done.connection, done.request)
                )
        return bearers

    def _sums(self, ended_ns: int) -> "list[str]":
        in_requests = _union_ns([(one.began_ns, one.ended_ns) for one in self._done])
        whole = ended_ns - self._began_ns
        other = {
            name: sum(one.ended_ns - one.began_ns for one in self._phases if one.kind == name)
            for name in ("credential", "cache")
        }
        cache = f"(of it reading the cache {_ms(other['cache'])})"
        lines = [
            f"in {len(self._done)} requests    {_ms(in_requests)}",
            f"outside requests  {_ms(whole - in_requests)}  {cache}",
            f"before kubelag    {_before_ms(whole)}  (start of the interpreter, to 10 ms)",
        ]
        if other["credential"]:
            lines.append(f"credential plugin {_ms(other['credential'])}")
        return lines


def _aligned(row: "Sequence[str]", widths: "Sequence[int]") -> str:
    first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
    return "  ".join([first.strip().ljust(widths[0]), *others])


def _union_ns(spans: "Sequence[tuple[int, int]]") -> int:
    """Length of the union of spans."""
    total, reached = 0, 0
    for began, ended in sorted(spans):
        total += max(0, ended - max(began, reached))
        reached = max(reached, ended)
    return total


def _before_ms(whole_ns: int) -> str:
    """How old the process was when our code began; the kernel counts in ticks of 10 ms."""
    try:
        with open("/proc/self/stat", encoding="ascii", errors="replace") as file:  # noqa: PTH123 -- pathlib would cost 5 ms
            ticks = int(file.read().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return "not known"
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return f"{max(0.0, age_s * 1000 - whole_ns / _NS_PER_MS):.0f} ms"


def _request_line(done: RequestDone) -> str:
    status = done.status if done.status is not None else done.why
    took = _ms(done.ended_ns - done.began_ns)
    return f"kubelag: {done.method} {done.target} {status} in {took}"


def _phase_line(phase: Phase) -> str:
    failed = "failed " if phase.is_failure else ""
    where = f" request {phase.request}" if phase.request else ""
    took = _ms(phase.ended_ns - phase.began_ns)
    return f"kubelag:   {phase.kind}{where} {failed}{took} {phase.detail}".rstrip()


def _ms(duration_ns: int) -> str:
    return f"{duration_ns / _NS_PER_MS:.1f} ms"
