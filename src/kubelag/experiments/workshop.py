"""What the runs of one trial share: private kubeconfigs and relays, all gone at its end.

A kubeconfig holds credentials: it lies in memory only, 0600 in a directory of its own (0700, by
mkdtemp), and what a killed run left is swept by the next one, as private caches are. A relay ends
when the pipe to it closes, so it never outlives us.
"""

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from kubelag.experiments.contract import NotApplicableError
from kubelag.experiments.private_place import make_private, memory_place
from kubelag.kube.secret import Secret

_RELAY_MODULE = "kubelag.experiments.relay"
# It closes when its input does, within milliseconds; arbitrary, and then it is killed.
_END_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayPlan:
    """What a relay does to what it passes on."""

    target: str
    """`IP:port` or `[IP]:port`; never a name."""
    delay_s: float = 0.0
    """Added to every round trip."""
    segment_bytes: int | None = None
    """Largest segment on the way to the target and back; None for the usual one."""


class Workshop:
    """Makes what arms need, and takes it away when it is closed."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove every kubeconfig and end every relay."""
        self._stack.close()

    def kubeconfig(self, document: Secret[bytes]) -> Path:
        """A file with this content that only we can read.

        Raises:
            NotApplicableError: Where there is no memory to keep it in.
        """
        place = memory_place()
        if place is None:
            raise NotApplicableError("there is no tmpfs to keep a kubeconfig's credentials in")
        directory = make_private(place)
        self._stack.callback(shutil.rmtree, directory, ignore_errors=True)
        path = directory / "kubeconfig"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(document.reveal())
        return path

    def relay(self, plan: RelayPlan) -> int:
        """The port on 127.0.0.1 of a new relay.

        Raises:
            NotApplicableError: Where it cannot be started.
        """
        words = [f"--target={plan.target}", f"--delay-s={plan.delay_s!r}"]
        if plan.segment_bytes is not None:
            words.append(f"--segment-bytes={plan.segment_bytes}")
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", _RELAY_MODULE, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._stack.callback(_end, process)
        assert process.stdout is not None  # noqa: S101 - it was asked for
        port = process.stdout.readline().strip()
        if not port.isdigit():
            raise NotApplicableError("kubelag's own relay could not be started")
        return int(port)


def _end(process: "subprocess.Popen[bytes]") -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
