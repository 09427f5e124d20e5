"""Whose turn it was in a silence: the rules, one by one.

A capture of one end shows what had been said and acknowledged, and who spoke in the end. Of
encrypted HTTP/2 it shows sizes only: short records (SETTINGS, its acknowledgement, WINDOW_UPDATE,
PING) are no question and no answer, and neither is what a server says of itself right after the
handshake (session tickets, SETTINGS).
"""

from typing import Literal, NamedTuple

from kubelag.model.network import Awaited, Side, Stage

Spoke = Literal["nobody", "client", "server", "secured"]
"""Who said something that counts, last; `secured` where the handshake was through and no more."""
Ended = Literal[
    "client", "server", "client_note", "server_note", "client_closing", "server_closing", "nothing"
]
"""What ended the silence: words that count, a short record, FIN or reset, or nothing yet."""


class Silent(NamedTuple):
    """One silence, with what was known before it and what ended it."""

    start_ns: int
    end_ns: int
    is_connected: bool
    """Whether the SYN had been answered, seen or implied."""
    spoke: Spoke
    ended: Ended
    client_open: int
    """Bytes of the client that were not acknowledged when the silence ended."""
    server_open: int
    client_again: int
    """Segments of the client that were sent again meanwhile."""
    server_again: int
    recovered_ns: int | None
    """When, after something was sent again, all was acknowledged."""
    closed: Side | None
    """Whose window was closed for most of it."""
    has_missed: bool
    """Whether something was acknowledged by its end that the capture never showed."""


class Turn(NamedTuple):
    """Who was expected to speak, and why."""

    awaited: Awaited
    why: str


def turn(silent: Silent, stage: Stage) -> Turn:
    """Judge one silence."""
    if stage == "connect":
        return _connecting(silent)
    if silent.has_missed:
        return Turn("unclear", "the capture missed some of what crossed meanwhile")
    if silent.closed:
        return Turn(silent.closed, f"the {silent.closed} had closed its window")
    if (found := _lost(silent)) is not None:
        return found
    asked = _ASKED[stage]
    if silent.spoke in {"nobody", "secured"}:
        return _first_words(silent)
    if silent.spoke == "client":
        return _asked(silent, asked)
    return _answered(silent, stage)


def _answered(silent: Silent, stage: Stage) -> Turn:
    """The server had spoken last."""
    if silent.ended == "server":
        return Turn("server", "the server stopped in the middle of what it was saying")
    if silent.server_open and silent.ended == "client":
        return Turn("client", "the client neither acknowledged the answer nor spoke")
    if silent.server_open and silent.ended == "nothing":
        return Turn("unclear", "the client did not acknowledge the answer")
    return Turn("client", f"the client had {_SAID[stage]} and {_NEXT[stage]}")


_ASKED: dict[Stage, str] = {
    "connect": "the SYN",
    "proxy": "the CONNECT request",
    "tls": "its part of the handshake",
    "data": "everything",
}
_SAID: dict[Stage, str] = {
    "connect": "an answer",
    "proxy": "the proxy's answer",
    "tls": "the server's part of the handshake",
    "data": "the whole answer",
}
_NEXT: dict[Stage, str] = {
    "connect": "said nothing",
    "proxy": "did not go on",
    "tls": "did not go on with it",
    "data": "asked nothing new",
}


def _connecting(silent: Silent) -> Turn:
    if silent.is_connected:
        return Turn("client", "the SYN was answered and the client did not go on")
    return Turn("server", "the SYN was not answered")


def _lost(silent: Silent) -> Turn | None:
    """Something was sent again: until it was acknowledged, nobody's turn can be told."""
    side: Side = "client" if silent.client_again >= silent.server_again else "server"
    again = silent.client_again + silent.server_again
    if not again:
        return None
    half_ns = (silent.end_ns - silent.start_ns) // 2
    if silent.recovered_ns is not None and silent.recovered_ns - silent.start_ns < half_ns:
        return None  # it was repaired soon, and the silence went on
    times = "once" if again == 1 else f"{again} times"
    return Turn("unclear", f"what the {side} had sent was sent again {times} before it was heard")


def _first_words(silent: Silent) -> Turn:
    if silent.spoke == "secured":
        return Turn("client", "the handshake was through and the client asked nothing")
    return Turn("client", "the connection stood and the client said nothing")


def _asked(silent: Silent, asked: str) -> Turn:
    if silent.ended == "client":
        if silent.client_open:
            return Turn("unclear", "what the client had sent was not acknowledged, and it went on")
        return Turn("unclear", "the client went on before it had an answer")
    if silent.client_open and silent.ended == "nothing":
        return Turn("unclear", "what the client had sent was not acknowledged")
    if silent.client_open:
        return Turn("server", "the server neither acknowledged the client's words nor answered")
    return Turn("server", f"the server had acknowledged {asked} and did not answer")
