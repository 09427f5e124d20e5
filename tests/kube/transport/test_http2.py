"""HTTP/2 with the server's state machine of an independent implementation."""

from collections.abc import Sequence

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from hypothesis import given
from hypothesis import strategies as st

from http_pieces import SIZES, get, outcome, pieces
from kubelag.kube.transport import http2_frames as wire
from kubelag.kube.transport.http2 import CONNECTION_WINDOW_BYTES, Http2
from kubelag.kube.transport.http2_stream import WINDOW_BYTES
from kubelag.kube.transport.messages import Data, End, Event, Head

AUTHORITY = "10.0.0.1:6443"
Fields = list[tuple[str, str]]
VALUE = st.text("abcXYZ0123 ,;=é-", max_size=30).map(str.strip)
ANSWER = st.tuples(
    st.sampled_from([200, 201, 400, 404, 409, 500, 503]),
    st.lists(st.tuples(st.sampled_from(["date", "audit-id", "x-a"]), VALUE), max_size=4),
    st.lists(st.binary(max_size=300) | st.just(b"x" * 9000), max_size=4),
    st.booleans(),
    st.integers(0, 20),
)


class Server:
    """The server of the package h2, joined to a client."""

    def __init__(self, client: Http2) -> None:
        self.client = client
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        self.connection = h2.connection.H2Connection(config)
        self.connection.initiate_connection()
        self.received: list[h2.events.Event] = []

    def exchange(self) -> list[Event]:
        """Carry bytes both ways until there are none; what the client made of them."""
        events: list[Event] = []
        while True:
            up = self.client.data_to_send()
            if up:
                self.received += self.connection.receive_data(up)
            down = self.connection.data_to_send()
            if down:
                events += self.client.receive(down)
            if not up and not down:
                return events

    def requests(self) -> dict[int, dict[str, str]]:
        """The headers of each stream."""
        return {
            event.stream_id or 0: {str(name): str(value) for name, value in event.headers or ()}
            for event in self.received
            if isinstance(event, h2.events.RequestReceived)
        }

    def bodies(self) -> dict[int, bytes]:
        """What has come of each request's body; its windows are opened again."""
        found: dict[int, bytes] = {}
        for event in self.received:
            if isinstance(event, h2.events.DataReceived):
                found[event.stream_id or 0] = found.get(event.stream_id or 0, b"") + event.data
        return found


@given(answers=st.lists(ANSWER, min_size=1, max_size=6), sizes=SIZES)
def test_answers_of_another_implementation_in_any_pieces(
    answers: Sequence[tuple[int, Fields, Sequence[bytes], bool, int]], sizes: Sequence[int]
) -> None:
    def sent() -> Http2:
        client = Http2(AUTHORITY)
        for number in range(len(answers)):
            client.send(get(f"/apis/{number}"))
        return client

    server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    server.initiate_connection()
    server.receive_data(sent().data_to_send())
    for number, (status, fields, body, has_trailers, padding) in enumerate(answers):
        stream = 2 * number + 1
        server.send_headers(stream, [(":status", "103"), ("link", "none")])
        length = ("content-length", str(sum(map(len, body))))
        server.send_headers(stream, [(":status", str(status)), length, *fields])
        for data in body:
            server.send_data(stream, data, pad_length=padding or None)
        if has_trailers:
            server.send_headers(stream, [("grpc-status", "0")], end_stream=True)
        else:
            server.end_stream(stream)
    transcript = server.data_to_send()
    whole, trouble = outcome(sent(), pieces(transcript, [len(transcript)]))
    assert (whole, trouble) == outcome(sent(), pieces(transcript, sizes))
    assert trouble == ""
    for number, (status, fields, body, _, _) in enumerate(answers):
        head, *rest = (event for event in whole if event.stream == 2 * number + 1)
        assert isinstance(head, Head)
        assert (head.status, rest.pop()) == (status, End(stream=2 * number + 1))
        assert {name for name, _ in fields} <= head.headers.keys()
        assert b"".join(e.data for e in rest if isinstance(e, Data)) == b"".join(body)


def test_a_request_as_a_server_sees_it() -> None:
    client = Http2(AUTHORITY)
    server = Server(client)
    asked = [("Accept", "a"), ("host", "other"), ("Connection", "close"), ("te", "gzip")]
    request = get("/apis?x=1", headers=(*asked, ("authorization", "Bearer é")))
    assert [client.send(request), client.send(request)] == [1, 3]
    server.exchange()
    expected = {
        ":method": "GET",
        ":path": "/apis?x=1",
        ":scheme": "https",
        ":authority": AUTHORITY,
        "accept": "a",
        "authorization": "Bearer é",
    }
    assert server.requests() == {1: expected, 3: expected}


def test_headers_longer_than_a_frame() -> None:
    client = Http2(AUTHORITY)
    server = Server(client)
    client.send(get(headers=(("authorization", "x" * 40_000),)))
    server.exchange()
    assert len(server.requests()[1]["authorization"]) == 40_000
    server.connection.send_headers(1, [(":status", "200"), ("x", "y" * 50_000)], end_stream=True)
    head, end = server.exchange()
    assert isinstance(head, Head)
    assert (len(head.headers["x"]), end) == (50_000, End(stream=1))


def test_a_body_waits_for_the_servers_windows() -> None:
    client = Http2(AUTHORITY)
    server = Server(client)
    body = bytes(range(256)) * 1000
    client.send(get(method="POST", body=body))
    server.exchange()
    assert len(server.bodies()[1]) == wire.WINDOW_BYTES
    server.connection.increment_flow_control_window(300_000)
    server.exchange()
    assert len(server.bodies()[1]) == wire.WINDOW_BYTES
    server.connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 100_000})
    server.exchange()
    assert len(server.bodies()[1]) == 100_000
    server.connection.increment_flow_control_window(300_000, 1)
    server.exchange()
    assert server.bodies()[1] == body
    assert server.requests()[1]["content-length"] == str(len(body))
    assert any(isinstance(event, h2.events.StreamEnded) for event in server.received)


@pytest.mark.parametrize("size", [0, 1, wire.WINDOW_BYTES])
def test_a_window_that_shrinks_is_heeded(size: int) -> None:
    client = Http2(AUTHORITY)
    server = Server(client)
    server.connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: size})
    server.exchange()
    client.send(get(method="PUT", body=b"x" * 70_000))
    server.exchange()
    assert len(server.bodies().get(1, b"")) == size


def test_more_than_every_window_can_be_received() -> None:
    client = Http2(AUTHORITY)
    server = Server(client)
    client.send(get())
    server.exchange()
    server.connection.send_headers(1, [(":status", "200")])
    left, came = CONNECTION_WINDOW_BYTES + 3 * WINDOW_BYTES, 0
    while left:
        size = min(left, 16384, server.connection.local_flow_control_window(1))
        assert size > 0
        server.connection.send_data(1, b"d" * size, end_stream=size == left)
        left -= size
        came += sum(len(e.data) for e in server.exchange() if isinstance(e, Data))
    assert came == CONNECTION_WINDOW_BYTES + 3 * WINDOW_BYTES


def test_only_as_many_streams_as_the_server_allows() -> None:
    client = Http2(AUTHORITY)
    server = Server(client)
    assert client.capacity() == 100
    server.connection.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 2})
    server.exchange()
    assert client.capacity() == 2
    client.send(get())
    client.send(get())
    assert client.capacity() == 0
    with pytest.raises(ValueError, match="takes no request now"):
        client.send(get())
    server.exchange()
    server.connection.send_headers(1, [(":status", "204")], end_stream=True)
    server.exchange()
    assert client.capacity() == 1


def test_a_server_that_wants_no_table_is_sent_none() -> None:
    client = Http2(AUTHORITY)
    client.send(get(headers=(("user-agent", "kubelag"),)))
    client.receive(wire.settings((wire.HEADER_TABLE_SIZE, 0)))
    client.send(get(headers=(("user-agent", "kubelag"),)))
    sent = client.data_to_send()
    server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    server.update_settings({h2.settings.SettingCodes.HEADER_TABLE_SIZE: 0})
    server.initiate_connection()
    events = server.receive_data(sent)
    assert sum(isinstance(event, h2.events.RequestReceived) for event in events) == 2
