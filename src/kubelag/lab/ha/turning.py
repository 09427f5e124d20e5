"""Turns a balancer's round robin: `python -m kubelag.lab.ha.turning DIR MASTER`.

Of commands that make one connection each, only every third meets one certain API server of three.
In a real cluster other clients turn the wheel meanwhile. Here this process does, from the owner's
own node, so that a command's first connection goes to MASTER; DIR is the HA lab's directory.

It never turns between a connection that MASTER spoilt and the client's next try, which is to fare
as it would anywhere. Nobody may come or go in the balancer meanwhile: no health checks.
"""

import contextlib
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from kubelag.lab.ha.lab import HaLab, attach
from kubelag.lab.ha.plan import BALANCED_PORT
from kubelag.lab.network.haproxy import Balancer
from kubelag.lab.waiting import wait_until

POLL_S = 0.03
TURN_S = 2.0
"""How long one turn may take; a healthy API server is connected within a millisecond."""
NO_RETRY_S = 2.5
"""After that nobody comes back: client-go tries again after one second."""


def main() -> None:
    """Turn until told to end."""
    ha, wanted = attach(Path(sys.argv[1])), sys.argv[2]
    names = [host.name for host in ha.masters]
    balancer = _owners(ha)
    print("turning", flush=True)  # noqa: T201 - its log, which says that it is ready
    idle_since_s = time.monotonic()
    while True:
        turns = sum(_chosen(balancer, names))
        if balancer.sessions():
            idle_since_s = time.monotonic()
        elif is_to_turn(names, wanted, turns, idle_s=time.monotonic() - idle_since_s):
            _turn(ha)
            continue
        time.sleep(POLL_S)


def wait_turned(ha: HaLab, wanted: str) -> None:
    """Wait until the next connection will be given to this API server.

    Raises:
        LabError: It will not.
    """
    names = [host.name for host in ha.masters]
    balancer = _owners(ha)
    wait_until(
        lambda: names[sum(_chosen(balancer, names)) % len(names)] == wanted,
        timeout_s=3 * NO_RETRY_S,
        problem=f"The balancer was not before {wanted}",
        next_step=f"see the directories turning-* in {ha.directory}",
    )


def is_to_turn(names: Sequence[str], wanted: str, turns: int, *, idle_s: float) -> bool:
    """Whether one more turn is needed, and allowed.

    Args:
        names: In the order of the wheel, which begins with the first.
        wanted: Who is to come next.
        turns: How often somebody was chosen so far.
        idle_s: How long nobody has been connected.
    """
    if names[turns % len(names)] == wanted:
        return False
    is_spoilt = turns > 0 and names[(turns - 1) % len(names)] == wanted
    return not is_spoilt or idle_s > NO_RETRY_S


def _owners(ha: HaLab) -> Balancer:
    owner = ha.wait_owner()
    return next(one for one in ha.haproxies if one.host == owner)


def _chosen(balancer: Balancer, names: Sequence[str]) -> Sequence[int]:
    """How often each one was chosen by the round robin; retries of the same one do not count."""
    counts = balancer.counts()
    return [int(counts[name]["lbtot"]) for name in names]


def _turn(ha: HaLab) -> None:
    with (
        contextlib.suppress(OSError),
        socket.create_connection((ha.vip, BALANCED_PORT), TURN_S) as client,
    ):
        client.shutdown(socket.SHUT_WR)
        client.settimeout(TURN_S)
        client.recv(1)  # the API server hangs up: it was chosen and met


if __name__ == "__main__":
    main()
