"""Who kept a connection waiting in one silence, as both ends together show it."""

import numpy as np

from kubelag.model.network import Connection, Pause, Silence
from kubelag.model.units import seconds
from kubelag.observe.capture.offset import Offset
from kubelag.observe.capture.pairing import Pair, Sent


def silence(connection: Connection, pause: Pause, pair: Pair, clocks: Offset) -> Silence:
    """Judge one pause of the near capture.

    The last words before it and the first words after it are looked up at the far end. What of
    the silence lies between leaving one end and reaching the other is the network's; the rest is
    its whose turn it was.
    """
    forth_ns, back_ns = _on_the_way(pause, pair, clocks)
    network_ns = max(0, forth_ns) + max(0, back_ns)
    if 2 * network_ns >= pause.length_ns:
        way = "the client's words" if forth_ns >= back_ns else "the server's words"
        return _made(
            connection, pause, "network", f"{way} were {seconds(max(forth_ns, back_ns))} on the way"
        )
    if pause.awaited == "unclear" and not pause.retransmissions:
        return _made(connection, pause, "unclear", pause.why)
    if pause.awaited == "unclear":
        return _made(connection, pause, "network", pause.why)
    return _made(connection, pause, pause.awaited, pause.why)


def _made(connection: Connection, pause: Pause, silent: str, why: str) -> Silence:
    return Silence(
        client=connection.client,
        server=connection.server,
        start_ns=pause.start_ns,
        end_ns=pause.end_ns,
        silent=silent,  # type: ignore[arg-type]
        why=why,
    )


def _on_the_way(pause: Pause, pair: Pair, clocks: Offset) -> tuple[int, int]:
    """How much of the silence words of the client, and of the server, were on their way."""
    if pause.stage == "connect" and pair.handshake_ns is not None:
        asked_ns, answered_ns = clocks.near(np.array(pair.handshake_ns)).tolist()
        return (
            min(asked_ns, pause.end_ns) - pause.start_ns - clocks.error_ns,
            pause.end_ns - max(answered_ns, pause.start_ns) - clocks.error_ns,
        )
    return _on_the_way_forth(pause, pair, clocks), _on_the_way_back(pause, pair, clocks)


def _on_the_way_forth(pause: Pause, pair: Pair, clocks: Offset) -> int:
    """How much of the silence the client's last words before it took to the far end."""
    near, far = pair.near_sent[0], pair.far_sent[0]
    sent = np.flatnonzero(near.ns <= pause.start_ns)
    if not len(sent):
        return 0
    end = int(near.end[sent].max())
    arrived_ns = _first_reached(far, end, clocks)
    if arrived_ns is None:
        is_lost = len(far.ns) > 0 and end > pair.reached[0]
        return pause.length_ns if is_lost else 0
    return min(arrived_ns, pause.end_ns) - pause.start_ns - clocks.error_ns


def _on_the_way_back(pause: Pause, pair: Pair, clocks: Offset) -> int:
    """How much of it the server's first words after it, if they ended it, had been under way."""
    near, far = pair.near_sent[1], pair.far_sent[1]
    came = np.flatnonzero(near.ns == pause.end_ns)
    if not len(came):
        return 0
    end = int(near.end[came[0]])
    left_ns = _first_reached(far, end, clocks)
    if left_ns is None:
        return 0
    return pause.end_ns - max(left_ns, pause.start_ns) - clocks.error_ns


def _first_reached(sent: Sent, offset: int, clocks: Offset) -> int | None:
    """When the byte before this offset was first seen there, on the near clock."""
    covers = np.flatnonzero((sent.start < offset) & (sent.end >= offset))
    return int(clocks.near(sent.ns[covers[:1]])[0]) if len(covers) else None
