"""Moves the shared address whenever a client is connected: `python -m kubelag.lab.ha.moving DIR`.

Runs on the client's node, whose connections it watches in the kernel's own table; DIR is the HA
lab's directory. Once in the life of a command: it is ready for the next one when the last
connection has gone.
"""

import sys
import time
from pathlib import Path

from kubelag.lab.ha.lab import HaLab, attach
from kubelag.lab.ha.plan import BALANCED_PORT
from kubelag.lab.ha.socket_table import ESTABLISHED, connections_to, hex_end
from kubelag.launch.holding import endings_held_back

CLOSED = frozenset({"06"})
"""CLOSED is TIME_WAIT: we closed it in good order. Source: include/net/tcp_states.h."""
LIVING = frozenset({"01", "02", "04", "05", "08", "09", "0B"})
"""Everything between SYN_SENT and the last FIN."""
NO_RETRY_S = 2.5
"""After that nobody comes back: client-go tries again after one second."""
POLL_S = 0.02
AGE_S = 0.45
"""How long a connection must have lived: a probe that only looks is through by then. The scene's
answers come every 0.1 s; so the address goes while one is waited for, either way that it moves. In
the middle of an answer kubectl would fail, and not ask again."""


def main() -> None:
    """Move the address until told to end."""
    ha = attach(Path(sys.argv[1]))
    remote = hex_end(ha.vip, BALANCED_PORT)
    print("watching", flush=True)  # noqa: T201 - its log, which says that it is ready
    while True:
        _wait_use(remote)
        closed = _locals(remote, CLOSED)
        with endings_held_back():
            _move(ha)
        print(f"moved at {time.time():.3f}", flush=True)  # noqa: T201 - the same
        _wait_end(remote, closed)


def _wait_use(remote: str) -> None:
    """Return when some connection has been up for a while."""
    since_s = time.monotonic()
    while time.monotonic() - since_s < AGE_S:
        if not _locals(remote, frozenset({ESTABLISHED})):
            since_s = time.monotonic()
        time.sleep(POLL_S)


def _wait_end(remote: str, closed_before: frozenset[str]) -> None:
    """Return when the command has ended: it closed a connection itself, and has no other.

    A connection that was reset leaves no trace, and the client comes back after a second.
    """
    since_s = time.monotonic()
    while time.monotonic() - since_s < NO_RETRY_S:
        if _locals(remote, LIVING):
            since_s = time.monotonic()
        elif _locals(remote, CLOSED) - closed_before:
            return
        time.sleep(POLL_S)


def _move(ha: HaLab) -> None:
    """Stop the preferred owner's keepalived, or start it again, whichever moves the address."""
    preferred = ha.keepaliveds[0]
    if preferred.daemon.is_running():
        preferred.stop()
    else:
        preferred.start(None, ha.daemon_environment)


def _locals(remote: str, states: frozenset[str]) -> frozenset[str]:
    """This host's ends of its connections to the shared address that are in such a state."""
    return frozenset(row.local for row in connections_to(remote) if row.state in states)


if __name__ == "__main__":
    main()
