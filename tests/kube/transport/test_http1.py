"""HTTP/1.1 against an independent server's state machine, and against what none should send."""

from collections.abc import Sequence

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from http_pieces import SIZES, get, outcome, pieces
from kubelag.kube.transport.http1 import CHUNK_LINE_BYTES, HEAD_BYTES, Http1
from kubelag.kube.transport.messages import (
    Broken,
    Data,
    End,
    Event,
    Head,
    ProtocolError,
    Request,
)

HOST = "10.0.0.1:6443"
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def asking(method: str = "GET") -> Http1:
    """A client that has sent one request."""
    client = Http1(HOST)
    client.send(get(method=method))
    client.data_to_send()
    return client


def merged(events: Sequence[Event]) -> list[Event]:
    """With pieces of one body made one."""
    out: list[Event] = []
    for event in events:
        last = out[-1] if out else None
        if isinstance(event, Data) and isinstance(last, Data):
            out[-1] = last.but(data=last.data + event.data)
        else:
            out.append(event)
    return out


def whole_outcome(client: Http1, data: bytes, sizes: Sequence[int]) -> tuple[list[Event], bool]:
    """All events to the end of the stream, and whether the protocol was broken."""
    events, trouble = outcome(client, (*pieces(data, sizes), b""))
    return merged(events), trouble != ""


def whole(data: bytes, method: str = "GET") -> tuple[Http1, list[Event]]:
    """A client, and what it made of an answer that came byte by byte."""
    client = asking(method)
    return client, merged([event for byte in pieces(data, [1]) for event in client.receive(byte)])


def body(data: bytes, method: str = "GET") -> bytes:
    """Of an answer that is complete."""
    head, *rest, end = whole(data, method)[1]
    assert (type(head), end) == (Head, End(stream=1))
    return b"".join(event.data for event in rest if isinstance(event, Data))


VALUE = st.text("abcXYZ0123,;=-", max_size=30)
ANSWER = st.tuples(
    st.sampled_from([200, 201, 204, 304, 400, 404, 503]),
    st.lists(st.tuples(st.sampled_from(["Date", "audit-id", "X-A"]), VALUE), max_size=4),
    st.lists(st.binary(max_size=300) | st.just(b"x" * 9000), max_size=4),
    st.sampled_from(["length", "chunked", "close"]),
    st.sampled_from(["GET", "HEAD", "POST"]),
)


@given(answers=st.lists(ANSWER, min_size=1, max_size=4), sizes=SIZES)
def test_answers_of_another_implementation_in_any_pieces(
    answers: Sequence[tuple[int, list[tuple[str, str]], Sequence[bytes], str, str]],
    sizes: Sequence[int],
) -> None:
    client, server = Http1(HOST), h11.Connection(h11.SERVER)
    for number, (status, fields, parts, framing, method) in enumerate(answers, 1):
        client.send(get(f"/{number}", method, body=b"{}" if method == "POST" else b""))
        server.receive_data(client.data_to_send())
        while type(server.next_event()) is not h11.EndOfMessage:
            pass
        length = {"content-length": str(sum(map(len, parts)))} if framing == "length" else {}
        closing = {"connection": "close"} if framing == "close" else {}
        sent = [*fields, *length.items(), *closing.items()]
        data = server.send(h11.InformationalResponse(status_code=103, headers=[])) or b""
        data += server.send(h11.Response(status_code=status, headers=sent)) or b""
        has_body = method != "HEAD" and status not in {204, 304}
        for part in parts if has_body else ():
            data += server.send(h11.Data(data=part)) or b""
        if has_body or not length:
            data += server.send(h11.EndOfMessage()) or b""
        events = merged([event for piece in pieces(data, sizes) for event in client.receive(piece)])
        head, *rest = events
        assert isinstance(head, Head)
        assert (head.status, rest.pop()) == (status, End(stream=number))
        came = b"".join(event.data for event in rest if isinstance(event, Data))
        assert came == (b"".join(parts) if has_body else b"")
        assert client.capacity() == int(client.is_open()) == int(framing != "close")
        if framing == "close" or (length and not has_body):
            return
        server.start_next_cycle()


def test_a_request_as_a_server_sees_it() -> None:
    client, server = Http1(HOST), h11.Connection(h11.SERVER)
    asked = (("Accept", "a"), ("host", "other"), ("Connection", "close"), ("te", "gzip"))
    assert client.send(get("/apis?x=1", "POST", headers=asked, body=b"abc")) == 1
    server.receive_data(client.data_to_send())
    request = server.next_event()
    assert isinstance(request, h11.Request)
    assert (request.method, request.target) == (b"POST", b"/apis?x=1")
    expected = [(b"host", HOST.encode()), (b"accept", b"a"), (b"content-length", b"3")]
    assert list(request.headers) == expected
    assert server.next_event() == h11.Data(data=b"abc")
    assert client.data_to_send() == b""


def test_one_request_at_a_time() -> None:
    client = asking()
    assert (client.capacity(), client.is_open()) == (0, True)
    with pytest.raises(ValueError, match="takes no request now"):
        client.send(get())
    client.receive(EMPTY)
    assert client.capacity() == 1
    assert client.send(get()) == 2


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", b"abc"),
        (b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", b"abc"),
        (b"HTTP/1.1 200\r\ncontent-length:\t3 , 3\r\ncontent-length: 3\r\n\r\nabc", b"abc"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", b"abc"),
        (
            (
                b"HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n\r\n"
                b'0a;x="y"\r\n0123456789\r\n1 ; z\nx\n0;last\r\nTrailer: a\r\nOther: b\r\n\r\n'
            ),
            b"0123456789x",
        ),
        (
            (
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                b"HTTP/1.0 404 Not Found\r\nContent-Length: 1\r\n\r\nx"
            ),
            b"x",
        ),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\tc\r\nContent-Length: 0\r\n\r\n", b""),
    ],
)
def test_each_way_to_frame_a_body(answer: bytes, expected: bytes) -> None:
    assert body(answer) == expected


def test_the_answer_to_head_has_no_body() -> None:
    assert body(b"HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n", "HEAD") == b""


def test_repeated_and_folded_headers_are_joined() -> None:
    answer = b"HTTP/1.1 200 OK\r\nWarning: a\r\nX:  y \r\nWARNING: b\r\n  c\r\n\r\n"
    (head,) = whole(answer)[1]
    assert isinstance(head, Head)
    assert head.headers == {"warning": "a, b c", "x": "y"}


def test_a_body_that_ends_with_the_connection() -> None:
    client, events = whole(b"HTTP/1.1 200 OK\r\n\r\nabc")
    assert events[1:] == [Data(stream=1, data=b"abc")]
    assert (client.capacity(), client.is_open()) == (0, False)
    assert client.receive(b"") == [End(stream=1)]
    assert client.receive(b"") == []


@pytest.mark.parametrize(
    ("head", "is_kept"),
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\n", False),
        (b"HTTP/1.1 200 OK\r\nConnection: x, close\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n", True),
    ],
)
def test_whether_the_connection_is_kept(head: bytes, *, is_kept: bool) -> None:
    client, events = whole(head + b"Content-Length: 0\r\n\r\n")
    assert events[-1] == End(stream=1)
    assert (client.is_open(), client.capacity()) == (is_kept, int(is_kept))


def test_two_framings_at_once_end_the_connection() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
    client, events = whole(head + b"1\r\nx\r\n0\r\n\r\n")
    assert events[1:] == [Data(stream=1, data=b"x"), End(stream=1)]
    assert not client.is_open()


@pytest.mark.parametrize(
    "late", [b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n", b"\r\n", b"junk"]
)
@pytest.mark.parametrize("is_apart", [True, False])
def test_what_nobody_asked_for_ends_the_connection(late: bytes, *, is_apart: bool) -> None:
    client = asking()
    events = (
        client.receive(EMPTY) + client.receive(late) if is_apart else client.receive(EMPTY + late)
    )
    assert events[-1] == End(stream=1)
    assert (client.is_open(), client.receive(b"more"), client.receive(b"")) == (False, [], [])


def test_a_closed_connection_before_any_answer() -> None:
    fresh = asking()
    assert fresh.receive(b"") == [
        Broken(stream=1, why="the server closed the connection without an answer")
    ]
    kept = asking()
    kept.receive(EMPTY)
    kept.send(get())
    (broken,) = kept.receive(b"")
    assert isinstance(broken, Broken)
    # It may have been read and acted upon, so that only a reading one may be sent again.
    assert (broken.stream, broken.is_unprocessed) == (2, False)
    assert not kept.is_open()


def test_a_kept_connection_closed_amid_an_answer() -> None:
    client = asking()
    client.receive(EMPTY)
    client.send(get())
    assert client.receive(b"H") == []
    (broken,) = client.receive(b"")
    assert isinstance(broken, Broken)
    assert (broken.stream, broken.is_unprocessed) == (2, False)


@pytest.mark.parametrize(
    "begun",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n1234",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
    ],
)
def test_a_closed_connection_amid_an_answer(begun: bytes) -> None:
    client = asking()
    client.receive(begun)
    (broken,) = client.receive(b"")
    assert isinstance(broken, Broken)
    assert (broken.is_unprocessed, "before the answer was whole" in broken.why) == (False, True)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"\x15\x03\x01\x00\x02\x02\x46", "speaks TLS"),
        (b"\x16\x03\x03\x00\x7a\x02", "speaks TLS"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "speaks SSH"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "speaks HTTP/2"),
        (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", "speaks HTTP/2"),
        (b"220 mail.example.com ESMTP\r\n", "speaks no HTTP: it began with b'220 mail"),
        (b"\r\nHTTP/1.1 200 OK\r\n\r\n", "speaks no HTTP"),
        (b"HTTP/2 200\r\n\r\n", "speaks 'HTTP/2' instead"),
        (b"HTTP/1.2 200 OK\r\n\r\n", "speaks 'HTTP/1.2' instead"),
        (b"HTTP/1.1 20 OK\r\n\r\n", "status '20'"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "status '2000'"),
        (b"HTTP/1.1 099 OK\r\n\r\n", "status '099'"),
        (b"HTTP/1.1\r\n\r\n", "status ''"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "switched"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "no header"),
        (b"HTTP/1.1 200 OK\r\nspace : x\r\n\r\n", "no header"),
        (b"HTTP/1.1 200 OK\r\n: x\r\n\r\n", "no header"),
        (b"HTTP/1.1 200 OK\r\n folded: x\r\n\r\n", "header that is none"),
        (b"HTTP/1.1 200 OK\r\na: b\rc\r\n\r\n", "header that is none"),
        (b"HTTP/1.1 200 OK\r\na: b\0c\r\n\r\n", "header that is none"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", "no number"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n", "no number"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1" + b"0" * 18 + b"\r\n\r\n", "no number"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "gzip, chunked"),
        (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "unasked"),
        (CHUNKED + b"x\r\n", "size 'x'"),
        (CHUNKED + b"\r\n", "size ''"),
        (CHUNKED + b"-1\r\n", "size '-1'"),
        (CHUNKED + b"1_0\r\n", "size '1_0'"),
        (CHUNKED + b"1" * 16 + b"\r\n", "size '1111"),
        (CHUNKED + b"1\r\nab\r\n", "longer than its size"),
        (CHUNKED + b"1\r\na\rb", "longer than its size"),
        (CHUNKED + b"1;" + b"x" * CHUNK_LINE_BYTES, "chunk size of more than"),
        (CHUNKED + b"0\r\n" + b"a: b\r\n" * HEAD_BYTES, "headers of more than"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * HEAD_BYTES, "headers of more than"),
        (b"HTTP/1.1 200 OK\r\na: " + b"b" * HEAD_BYTES, "headers of more than"),
    ],
)
def test_each_broken_rule_ends_the_connection(answer: bytes, why: str) -> None:
    client = asking()
    with pytest.raises(ProtocolError, match=r"^the server ") as caught:
        client.receive(answer)
    assert why in str(caught.value)
    assert (client.is_open(), client.capacity()) == (False, 0)
    with pytest.raises(ProtocolError):
        client.receive(EMPTY)
    assert whole_outcome(asking(), answer, [1])[1]


def test_a_banner_before_any_request_is_no_http() -> None:
    with pytest.raises(ProtocolError, match="speaks SSH"):
        Http1(HOST).receive(b"SSH-2.0-OpenSSH_9.6\r\n")


def test_a_body_is_handed_out_as_it_comes() -> None:
    client = asking()
    assert len(client.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12")) == 2
    assert client.receive(b"345") == [Data(stream=1, data=b"345")]


@pytest.mark.parametrize(
    "request_", [get("api"), get("/a b"), get(headers=(("a", "secret\r\nb: c"),))]
)
def test_what_is_no_request_is_refused_without_a_trace(request_: Request) -> None:
    client = Http1(HOST)
    with pytest.raises(ValueError, match="request") as caught:
        client.send(request_)
    assert "secret" not in str(caught.value)
    assert (client.data_to_send(), client.capacity()) == (b"", 1)


PART = st.sampled_from(
    [
        *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 204 \n", b"HTTP/1.1 100 x\r\n", b"\r\n", b"\n", b"\r"),
        *(b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n"),
        *(b"a: b\r\n", b" folded\r\n", b"3\r\nabc\r\n", b"0\r\n", b"abc", b"HTTP/", b"1;x\nz\r\n"),
    ]
)


@given(parts=st.lists(PART | st.binary(max_size=9), max_size=14), sizes=SIZES)
def test_any_bytes_in_any_pieces_give_the_same(
    parts: Sequence[bytes], sizes: Sequence[int]
) -> None:
    data = b"".join((b"HTTP/1.1 200 OK\r\n", *parts))
    apart, is_broken = whole_outcome(asking(), data, sizes)
    each, is_each_broken = whole_outcome(asking(), data, [1])
    at_once, is_all_broken = whole_outcome(asking(), data, [len(data)])
    assert is_broken == is_each_broken == is_all_broken
    assert is_broken or apart == each == at_once


@given(data=st.binary(max_size=200), sizes=SIZES)
def test_any_bytes_are_refused_or_understood(data: bytes, sizes: Sequence[int]) -> None:
    events, _ = whole_outcome(asking(), data, sizes)
    assert all(event.stream == 1 for event in events)
