"""Hands a conversation the same bytes in pieces of any sizes."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hypothesis import strategies as st

from kubelag.kube.transport.http1 import Http1
from kubelag.kube.transport.http2 import Http2
from kubelag.kube.transport.messages import Event, ProtocolError, Request

SIZES = st.lists(st.integers(1, 50) | st.integers(1, 40_000), min_size=1, max_size=8)


def get(target: str = "/api", method: str = "GET", **fields: Any) -> Request:
    """A request."""
    return Request(target=target, method=method, **fields)


def pieces(data: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    """The same bytes in pieces of these sizes, over and over."""
    at = 0
    for size in itertools.cycle(sizes):
        if at >= len(data):
            return
        yield data[at : at + size]
        at += size


def outcome(client: Http1 | Http2, read: Iterable[bytes]) -> tuple[list[Event], str]:
    """All events, and how the protocol was broken at last, if it was."""
    events: list[Event] = []
    for piece in read:
        try:
            events += client.receive(piece)
        except ProtocolError as error:
            return events, str(error)
    return events, ""
