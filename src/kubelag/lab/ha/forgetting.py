"""Forgets a kubectl's connections in mid-run: `python -m kubelag.lab.ha.forgetting DIR`.

Runs on the client's node, whose connections it watches in the kernel's own table; DIR is the HA
lab's directory. Once in the life of a process: what that one opens afterwards passes, and when it
has ended everything does, until the next one comes.
"""

import contextlib
import os
import select
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from kubelag.errors import LabError
from kubelag.lab.ha.lab import HaLab, attach
from kubelag.lab.ha.plan import BALANCED_PORT
from kubelag.lab.ha.socket_table import ESTABLISHED, connections_to, hex_end
from kubelag.lab.network.impair.black_hole import BlackHole
from kubelag.lab.network.impair.forgotten import ForgottenConnections
from kubelag.launch.holding import endings_held_back

PROGRAM = "kubectl"
"""What the name of a program begins with whose connections are forgotten: whoever only looks, as
kubelag's own probes do, is left alone."""
POLL_S = 0.02
AGE_S = 0.35
"""How long a connection must have lived, so that it has been used. Arbitrary."""


def main() -> None:
    """Forget until told to end."""
    ha = attach(Path(sys.argv[1]))
    remote = hex_end(ha.vip, BALANCED_PORT)
    print("watching", flush=True)  # noqa: T201 - its log, which says that it is ready
    while True:
        process = _wait_user(remote)
        if process is None:
            continue
        with os.fdopen(process):  # which becomes readable when the process ends
            try:
                with endings_held_back():
                    forget(ha)
            except LabError:
                continue  # its connection has just gone
            print(f"forgot at {time.time():.3f}", flush=True)  # noqa: T201 - the same
            select.select([process], (), ())
        with endings_held_back():
            remember(ha)


def forget(ha: HaLab) -> None:
    """Forget the client's connections to the shared address.

    Nothing arrives at all meanwhile: an answer of which only the head had come could not be asked
    for again, and the command would fail.

    Raises:
        LabError: It has none, or they cannot be forgotten.
    """
    silence = _silence(ha)
    silence.on()
    try:
        _forgotten(ha).on()
    finally:
        silence.off()


def remember(ha: HaLab) -> None:
    """Let everything pass, also after half a `forget`."""
    _silence(ha).off()
    _forgotten(ha).off()


def _silence(ha: HaLab) -> BlackHole:
    cable = ha.cable(ha.client)
    return BlackHole(cable=cable, address=ha.client.address, direction="to_host")


def _forgotten(ha: HaLab) -> ForgottenConnections:
    return ForgottenConnections(cable=ha.cable(ha.client), address=ha.vip, port=BALANCED_PORT)


def _wait_user(remote: str) -> int | None:
    """A descriptor of the process whose connection has been up for a while; None if it is gone."""
    since_s: dict[str, float] = {}
    while True:
        now_s = time.monotonic()
        since_s = {inode: since_s.get(inode, now_s) for inode in _standing(remote)}
        for inode, begin_s in since_s.items():
            if now_s - begin_s >= AGE_S and (pid := _holder(inode)):
                with contextlib.suppress(ProcessLookupError):
                    return os.pidfd_open(pid)
                return None
        time.sleep(POLL_S)


def _standing(remote: str) -> Iterator[str]:
    """The inodes of this host's connections to the shared address."""
    return (row.inode for row in connections_to(remote) if row.state == ESTABLISHED)


def _holder(inode: str) -> int | None:
    """The kubectl that holds a socket; None where somebody else does, or nobody."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            if (process / "comm").read_text(encoding="utf-8", errors="replace").startswith(PROGRAM):
                held = [one.readlink() for one in (process / "fd").iterdir()]
                if Path(f"socket:[{inode}]") in held:
                    return int(process.name)
    return None


if __name__ == "__main__":
    main()
