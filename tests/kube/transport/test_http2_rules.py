"""HTTP/2 frame by frame: what is answered, what breaks one stream, and what ends it all."""

import re
import struct
from collections.abc import Iterable, Sequence

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from http_pieces import SIZES, get, outcome, pieces
from kubelag.kube.transport import http2_frames as wire
from kubelag.kube.transport.http2 import REPLIES_AT_MOST, Http2
from kubelag.kube.transport.messages import Broken, End, Event, Head, ProtocolError, Request

AUTHORITY = "10.0.0.1:6443"
SETTINGS = wire.settings()
Fields = list[tuple[str, str]]


def headers(stream: int, fields: Fields, flags: int = wire.END_HEADERS) -> bytes:
    """A frame of headers that needs no table."""
    block = b"".join(
        b"\x00" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()
        for name, value in fields
    )
    return wire.frame(wire.HEADERS, flags, stream, block)


OK = headers(1, [(":status", "200")])
LAST = wire.END_HEADERS | wire.END_STREAM


def opened(*requests: Request) -> Http2:
    """A client that has sent these, to a server that has sent its settings."""
    client = Http2(AUTHORITY)
    for request in requests or (get(),):
        client.send(request)
    assert client.receive(SETTINGS) == []
    client.data_to_send()
    return client


def only_broken(events: Iterable[Event]) -> Broken:
    """The one event that is no more than a stream's trouble."""
    (broken,) = (event for event in events if isinstance(event, Broken))
    return broken


def test_settings_and_pings_are_answered() -> None:
    client = opened()
    assert client.receive(SETTINGS + wire.frame(wire.PING, 0, 0, b"12345678")) == []
    ack = wire.frame(wire.SETTINGS, wire.ACK, 0)
    assert client.data_to_send() == ack + wire.frame(wire.PING, wire.ACK, 0, b"12345678")
    assert client.receive(ack + wire.frame(wire.PING, wire.ACK, 0, b"12345678")) == []
    assert client.data_to_send() == b""


def test_unread_answers_to_pings_do_not_fill_the_memory() -> None:
    client = opened()
    pings = wire.frame(wire.PING, 0, 0, b"12345678") * (REPLIES_AT_MOST + 1)
    with pytest.raises(ProtocolError, match="faster than it reads"):
        client.receive(pings)


@pytest.mark.parametrize(("code", "is_unprocessed"), [(7, True), (2, False), (99, False)])
def test_a_reset_breaks_its_stream_only(code: int, *, is_unprocessed: bool) -> None:
    client = opened(get(), get())
    reset = wire.frame(wire.RST_STREAM, 0, 1, struct.pack(">L", code))
    broken = only_broken(client.receive(reset))
    assert (broken.stream, broken.is_unprocessed) == (1, is_unprocessed)
    assert wire.code_name(code) in broken.why
    assert client.receive(headers(3, [(":status", "204")], LAST))[-1] == End(stream=3)


def test_a_server_that_goes_away_finishes_what_it_has_read() -> None:
    client = opened(get(), get(), get())
    goaway = wire.frame(wire.GOAWAY, 0, 0, struct.pack(">LL", 3, 0) + b"graceful")
    broken = only_broken(client.receive(goaway))
    assert (broken.stream, broken.is_unprocessed) == (5, True)
    assert (client.is_open(), client.capacity()) == (False, 0)
    with pytest.raises(ValueError, match="takes no request"):
        client.send(get())
    for stream in (1, 3):
        answer = headers(stream, [(":status", "204")], LAST)
        assert client.receive(answer)[-1] == End(stream=stream)


def test_a_closed_connection_breaks_every_stream() -> None:
    client = opened(get(), get())
    events = client.receive(b"")
    assert [(event.stream, type(event)) for event in events] == [(1, Broken), (3, Broken)]
    assert not any(event.is_unprocessed for event in events if isinstance(event, Broken))
    assert (client.is_open(), client.receive(b""), client.receive(OK)) == (False, [], [])


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (headers(1, [(":status", "200"), ("content-length", "5")], LAST), "sent 0 of the 5"),
        (
            headers(1, [(":status", "200"), ("content-length", "5")])
            + wire.frame(wire.DATA, wire.END_STREAM, 1, b"123"),
            "sent 3 of the 5",
        ),
        (
            headers(1, [(":status", "200"), ("content-length", "2")])
            + wire.frame(wire.DATA, 0, 1, b"123"),
            "more than it had announced",
        ),
        (headers(1, [(":status", "204")]) + wire.frame(wire.DATA, 0, 1, b"1"), "more than"),
        (headers(1, [(":status", "200"), ("content-length", "x")]), "no number"),
        (headers(1, [(":status", "200"), ("content-length", "1, 2")]), "no number"),
        (wire.frame(wire.DATA, 0, 1, b"1"), "before its headers"),
        (headers(1, [("server", "x")]), "no status"),
        (headers(1, []), "no status"),
        (headers(1, [(":status", "20")]), "'20'"),
        (headers(1, [(":status", "099")]), "'099'"),
        (headers(1, [(":status", "101")]), "101"),
        (headers(1, [(":status", "100")], LAST), "100"),
        (headers(1, [(":status", "200"), ("Server", "x")]), "name"),
        (headers(1, [(":status", "200"), (":status", "200")]), "name"),
        (headers(1, [(":status", "200"), ("", "x")]), "name"),
        (headers(1, [(":status", "200"), ("connection", "close")]), "forbids"),
        (headers(1, [(":status", "200"), ("a", "b\nc")]), "line break"),
        (OK + headers(1, [("a", "b")]), "amid a body"),
        (OK + headers(1, [(":path", "b")], LAST), "name"),
        (wire.window_update(1, 0), "by nothing"),
        (wire.window_update(1, 2**31 - 1), "wider than"),
    ],
)
def test_what_is_wrong_with_one_stream_breaks_only_that(answer: bytes, why: str) -> None:
    client = opened(get(), get())
    broken = only_broken(client.receive(answer))
    assert broken.stream == 1
    assert why in broken.why
    sent = client.data_to_send()
    assert wire.HEADER.unpack_from(sent)[2] == wire.RST_STREAM
    # what was on its way is passed over, and other streams go on
    late = wire.frame(wire.DATA, wire.END_STREAM, 1, b"late")
    assert client.receive(late + headers(3, [(":status", "204")], LAST))[-1] == End(stream=3)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_announced_body_that_never_comes_with_head(method: str) -> None:
    client = opened(get(method=method))
    status = "200" if method == "HEAD" else "304"
    answer = headers(1, [(":status", status), ("content-length", "77")], LAST)
    assert client.receive(answer)[-1] == End(stream=1)


def test_repeated_headers_are_joined() -> None:
    fields = [(":status", "200"), ("warning", "a"), ("x", "y"), ("warning", "b")]
    (head,) = opened().receive(headers(1, fields))
    assert isinstance(head, Head)
    assert head.headers == {"warning": "a, b", "x": "y"}


def test_an_answer_before_the_end_of_the_body_ends_it() -> None:
    client = opened(get(method="POST", body=b"x" * 100_000))
    events = client.receive(headers(1, [(":status", "413")], LAST))
    assert events[-1] == End(stream=1)
    reset = wire.frame(wire.RST_STREAM, 0, 1, struct.pack(">L", wire.CANCEL))
    assert client.data_to_send().endswith(reset)
    assert client.receive(wire.window_update(0, 100_000) + wire.window_update(1, 100_000)) == []
    assert client.data_to_send() == b""


def test_what_must_be_passed_over() -> None:
    client = opened()
    data = wire.frame(wire.PRIORITY, 0, 1, b"12345") + wire.frame(0xBB, 0xFF, 9, b"grease")
    data += wire.frame(wire.SETTINGS, 0, 0, struct.pack(">HL", 0xAAAA, 1))
    assert client.receive(data + wire.window_update(0, 10)) == []
    priority = b"\x02" + b"\x80\x00\x00\x00\x10" + hpack.Encoder().encode([(":status", "200")])
    flags = LAST | wire.PADDED | wire.HAS_PRIORITY
    events = client.receive(wire.frame(wire.HEADERS, flags, 1, priority + b"\0\0"))
    assert events[-1] == End(stream=1)


BROKEN_RULES = {
    "data on stream 0": wire.frame(wire.DATA, 0, 0, b"x"),
    "data unasked": wire.frame(wire.DATA, 0, 9, b"x"),
    "headers unasked": headers(9, [(":status", "200")]),
    "headers on an even stream": headers(2, [(":status", "200")]),
    "reset unasked": wire.frame(wire.RST_STREAM, 0, 9, b"1234"),
    "reset too short": wire.frame(wire.RST_STREAM, 0, 1, b"123"),
    "window unasked": wire.window_update(9, 1),
    "window by nothing": wire.window_update(0, 0),
    "window too wide": wire.window_update(0, 2**31 - 1),
    "window update too short": wire.frame(wire.WINDOW_UPDATE, 0, 0, b"123"),
    "first window too wide": wire.settings((wire.INITIAL_WINDOW_SIZE, 2**31)),
    "streams' windows too wide": wire.window_update(1, 2**31 - 65536)
    + wire.settings((wire.INITIAL_WINDOW_SIZE, 65536)),
    "frames too small": wire.settings((wire.MAX_FRAME_SIZE, 16383)),
    "frames too large": wire.settings((wire.MAX_FRAME_SIZE, 1 << 24)),
    "push wanted": wire.settings((wire.ENABLE_PUSH, 1)),
    "settings on a stream": wire.frame(wire.SETTINGS, 0, 1),
    "settings of a wrong size": wire.frame(wire.SETTINGS, 0, 0, b"12345"),
    "settings acknowledged with some": wire.frame(wire.SETTINGS, wire.ACK, 0, b"123456"),
    "ping on a stream": wire.frame(wire.PING, 0, 1, b"12345678"),
    "ping of a wrong size": wire.frame(wire.PING, 0, 0, b"1234567"),
    "goaway on a stream": wire.frame(wire.GOAWAY, 0, 1, b"12345678"),
    "goaway too short": wire.frame(wire.GOAWAY, 0, 0, b"1234567"),
    "push": wire.frame(wire.PUSH_PROMISE, wire.END_HEADERS, 1, b"\0\0\0\2\x88"),
    "frame too large": wire.HEADER.pack(0, 16385, 0, 0, 1),
    "frame much too large": wire.HEADER.pack(1, 0, 0, 0, 1),
    "padding too long": wire.frame(wire.DATA, wire.PADDED, 1, b"\x05abcd"),
    "padding without a length": wire.frame(wire.DATA, wire.PADDED, 1),
    "priority cut short": wire.frame(wire.HEADERS, wire.HAS_PRIORITY, 1, b"1234"),
    "continuation of nothing": wire.frame(wire.CONTINUATION, wire.END_HEADERS, 1),
    "frame amid headers": wire.frame(wire.HEADERS, 0, 1) + SETTINGS,
    "continuation of another": wire.frame(wire.HEADERS, 0, 1) + wire.frame(9, 4, 3),
    "endless headers": wire.frame(wire.HEADERS, 0, 1)
    + wire.frame(wire.CONTINUATION, 0, 1, b"x" * 16384) * 65,
    "damaged headers": wire.frame(wire.HEADERS, wire.END_HEADERS, 1, b"\x80"),
    "headers after the end": headers(1, [(":status", "200")], LAST) * 2,
    "data after the end": headers(1, [(":status", "200")], LAST) + wire.frame(0, 0, 1, b"x"),
}


@pytest.mark.parametrize("data", BROKEN_RULES.values(), ids=BROKEN_RULES.keys())
def test_each_broken_rule_ends_the_connection(data: bytes) -> None:
    client = opened()
    with pytest.raises(ProtocolError, match=r"^the server ") as caught:
        client.receive(data)
    goaway = client.data_to_send()[-17:]
    assert wire.HEADER.unpack_from(goaway)[2] == wire.GOAWAY
    assert (client.is_open(), client.capacity()) == (False, 0)
    with pytest.raises(ProtocolError, match=re.escape(str(caught.value))):
        client.receive(OK)


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP/1"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "no HTTP/2"),
        (b"\x15\x03\x03\x00\x02\x02\x28\x00\x00", "no HTTP/2"),
        (wire.frame(wire.PING, 0, 0, b"12345678"), "no HTTP/2"),
        (wire.frame(wire.SETTINGS, wire.ACK, 0), "no HTTP/2"),
    ],
)
def test_what_begins_otherwise_is_no_http2(first: bytes, why: str) -> None:
    client = Http2(AUTHORITY)
    with pytest.raises(ProtocolError, match=why):
        client.receive(first)


@pytest.mark.parametrize(
    "request_",
    [
        get("api"),
        get("/a b"),
        get("/é"),
        get("/a\r\nx: y"),
        get(""),
        get(method="GE T"),
        get(headers=(("a", "secret\n"),)),
        get(headers=(("a:", "secret"),)),
        get(headers=(("", "secret"),)),
        get(headers=(("a", "secret\udcff"),)),
    ],
)
def test_what_is_no_request_is_refused_without_a_trace(request_: Request) -> None:
    client = Http2(AUTHORITY)
    before = client.data_to_send()
    with pytest.raises(ValueError, match="request") as caught:
        client.send(request_)
    assert before
    assert client.data_to_send() == b""
    assert "secret" not in str(caught.value)


FRAME = st.builds(
    wire.frame,
    st.integers(0, 10),
    st.sampled_from([0, 1, 4, 5, 8, 0x20, 0x2D, 0xFF]),
    st.sampled_from([0, 1, 1, 1, 2, 3, 5, 2**31 - 1]),
    st.binary(max_size=20) | st.just(b"\x88") | st.just(b"\0\0\0\0\0\0\0\1") | st.just(b"\0\0\0\1"),
)


@given(frames=st.lists(FRAME, max_size=12), sizes=SIZES)
def test_any_frames_in_any_pieces_give_the_same(
    frames: Sequence[bytes], sizes: Sequence[int]
) -> None:
    requests = (get(), get(method="HEAD"), get(method="POST", body=b"x" * 70_000))
    data = b"".join(frames)
    apart, trouble = outcome(opened(*requests), pieces(data, sizes))
    each = outcome(opened(*requests), pieces(data, [1]))
    whole, told = outcome(opened(*requests), pieces(data, [max(1, len(data))]))
    assert told == trouble == each[1]
    assert each[0][: len(apart)] == apart
    assert trouble or whole == apart == each[0]


@given(data=st.binary(max_size=400), is_started=st.booleans())
def test_any_bytes_are_refused_or_understood(data: bytes, *, is_started: bool) -> None:
    client = opened() if is_started else Http2(AUTHORITY)
    events, _ = outcome(client, pieces(data, [7]))
    assert all(event.stream == 1 for event in events)
