"""Sends one of the command's requests once more, by kubelag's own client, and keeps its phases.

A client's log tells of a request only how long it took. Our own client tells connecting, TLS, the
credential plugin, the server and the transfer apart, and it is no kubectl. Nothing is written, no
cache is read, and nobody at a terminal is asked for anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kubelag.errors import KubelagError
from kubelag.kube.transport.events import Event
from kubelag.model.evidence import Look, OwnRequest, Request

OBSERVER = "own_request"
HOW = "one request by kubelag's own client, after the observed run"

# What the server could do once it can do again in twice the time; 10 s are what our client gives
# a connection, which the other client may have found open. Both are arbitrary. A credential plugin
# has a limit of its own (60 s).
_PATIENCE_RATIO, _PATIENCE_S = 2.0, 10.0
_KEPT_CHARS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What is to be sent, and as whom."""

    argv: tuple[str, ...] = field(repr=False)
    """The command in full: its flags say which server, and as whom."""
    env: Mapping[str, str] = field(repr=False)
    request: Request
    """As the command's own log tells it."""


def ask(asking: Asking) -> tuple[OwnRequest | None, Look]:
    """Send the request; whatever fails is told, and never raised."""
    events: list[Event] = []
    try:
        why = _send(asking, events)
    except KubelagError as error:
        why = error.message
    except Exception as error:  # noqa: BLE001 - a runner of an observer; told in the report
        why = f"it crashed: {type(error).__name__}: {error}"
    seen = _seen(asking.request, events)
    if seen is None or seen.status is None:
        return seen, _look("could_not_look", why or "no answer came", seen)
    return seen, _look("looked", HOW, seen)


def not_asked(why: str) -> Look:
    """That nothing was sent, and why."""
    return Look(observer=OBSERVER, state="not_asked", how=why)


def _look(state: str, how: str, seen: OwnRequest | None) -> Look: ...
