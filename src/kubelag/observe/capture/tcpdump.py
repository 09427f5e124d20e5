"""The tcpdump that captures for us: a child of ours, what it says, and what it writes."""

import functools
import os
import queue
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO

from kubelag.launch.child import Child

MAX_BYTES = 64 << 20
_END_S = 2.0
_MAX_SAID_BYTES = 65_536
_PIPE_BYTES = 65_536
_DROPPED = re.compile(r"(\d+) packets? dropped by (?:kernel|interface)")


class Keeper:
    """Starts a child in a thread that stays until the child has ended.

    The kernel ends such a child with the thread that started it, not with the process, and we may
    be called in a thread that ends soon.
    """

    def __init__(self, argv: Sequence[str], stdout: int) -> None:
        self._over = threading.Event()
        self._answer: queue.SimpleQueue[subprocess.Popen[bytes] | OSError] = queue.SimpleQueue()
        target = functools.partial(self._keep, argv, stdout)
        threading.Thread(target=target, name="capture-keeper", daemon=True).start()
        answer = self._answer.get()
        if isinstance(answer, OSError):
            raise answer
        self.process = answer

    def end(self) -> None:
        """Ask, then insist."""
        for ask in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                self.process.send_signal(ask)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_END_S)
                break
        self._over.set()

    def _keep(self, argv: Sequence[str], stdout: int) -> None:
        try:
            self._answer.put(_started(argv, stdout))
        except OSError as error:
            self._answer.put(error)
            return
        self._over.wait()


def _started(argv: Sequence[str], stdout: int) -> subprocess.Popen[bytes]:
    """A child that ends with us, that Ctrl-C does not reach, and that hears every signal."""
    dies_with_us = Child().before_exec()

    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())  # ours may be blocked in this thread
        dies_with_us()

    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        preexec_fn=prepare,  # noqa: PLW1509 - nothing else tells the kernel to end it with us
        start_new_session=True,
    )


class _Drain:
    """Reads a pipe of a child to its end in a thread of its own."""

    def __init__(self, pipe: IO[bytes] | None, take: Callable[[bytes], None]) -> None:
        self._pipe = pipe
        self._take = take
        self._thread = threading.Thread(target=self._loop, name="capture-drain", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for the end of the pipe."""
        self._thread.join(_END_S)

    def _loop(self) -> None:
        if self._pipe is None:
            return
        with self._pipe, suppress(OSError):
            while part := os.read(self._pipe.fileno(), _PIPE_BYTES):
                self._take(part)


class Said:
    """What tcpdump says on its standard error."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._text = b""
        self._changed = threading.Condition()
        self._drain = _Drain(process.stderr, self._add)

    def wait_listening(self, until_s: float) -> bool:
        """Whether it says that it listens, before the time is over and before it ends."""
        with self._changed:
            while b"listening on" not in self._text:
                left_s = until_s - time.monotonic()
                if left_s <= 0 or self._process.poll() is not None:
                    return False
                self._changed.wait(min(left_s, 0.05))
        return True

    def dropped(self) -> int:
        """Packets that it says were dropped; it says so when it ends."""
        self._drain.join()
        text = self._text.decode("utf-8", "replace")
        return sum(int(number) for number in _DROPPED.findall(text))

    def last_line(self) -> str:
        """Its last words."""
        if self._process.poll() is not None:
            self._drain.join()
        lines = self._text.decode("utf-8", "replace").strip().splitlines()
        named = [line for line in lines if line.startswith("tcpdump: ")]
        return (named or lines)[-1].removeprefix("tcpdump: ") if lines else "it said nothing"

    def _add(self, part: bytes) -> None:
        with self._changed:
            self._text = (self._text + part)[-_MAX_SAID_BYTES:]
            self._changed.notify_all()


class Kept:
    """The packets, in memory, up to a limit."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._raw = bytearray()
        self._missed_bytes = 0
        self._last_s = time.monotonic()
        self._drain = _Drain(process.stdout, self._add)

    def wait_quiet(self, until_s: float) -> None:
        """Until nothing has come for a moment from now on: tcpdump has what the kernel held."""
        began_s = time.monotonic()
        while time.monotonic() < min(until_s, max(began_s, self._last_s) + _QUIET_S):
            time.sleep(_QUIET_S / 4)

    def finish(self) -> tuple[bytes, int]:
        """All of it, and how many bytes there was no room for."""
        self._drain.join()
        return bytes(self._raw), self._missed_bytes

    def _add(self, part: bytes) -> None:
        self._last_s = time.monotonic()
        if len(self._raw) + len(part) <= MAX_BYTES and not self._missed_bytes:
            self._raw += part
        else:
            self._missed_bytes += len(part)


_QUIET_S = 0.05
"""In immediate mode tcpdump is handed a packet at once, and its end writes what it still has; this
is far longer than the former takes. Arbitrary."""
