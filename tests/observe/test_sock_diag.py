"""The kernel's answers about sockets are taken apart, and nothing else gets through."""

import contextlib
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.observe import sock_diag
from kubelag.observe.sock_diag import SocketListError


def message(kind: int, body: bytes, sequence: int = 1) -> bytes:
    return (
        struct.pack("=IHHII", 16 + len(body), kind, 2, sequence, 0) + body + bytes(-len(body) % 4)
    )


def attribute(kind: int, body: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(body), kind) + body + bytes(-len(body) % 4)


def entry(
    family: int = socket.AF_INET,
    target: bytes = bytes([10, 0, 0, 1]) + bytes(12),
    state: int = 1,
    info: bytes = b"",
) -> bytes:
    head = struct.pack("=BBBB", family, state, 0, 0) + struct.pack("!HH", 40000, 6443)
    ends = bytes([10, 0, 0, 9]) + bytes(12) + target
    rest = struct.pack("=IQIIIII", 0, 77, 0, 11, 22, 1000, 4711)
    return head + ends + rest + (attribute(2, info) if info else b"")


def tcp_info(length: int) -> bytes:
    """Every field's value is its own offset."""
    early = bytes([1, 0, 2, 0, 3, 1, 0, 0]) + struct.pack("=24I", *range(8, 104, 4))
    late = b"".join(struct.pack("=Q", offset) for offset in (104, 112, 120, 128))
    late += struct.pack("=6I", 136, 140, 144, 148, 152, 156)
    late += b"".join(struct.pack("=Q", offset) for offset in (160, 168, 176, 184))
    late += struct.pack("=2I", 192, 196) + struct.pack("=QQ", 200, 208) + bytes(64)
    return (early + late)[:length]


def test_a_socket_is_read_with_all_that_matters() -> None:
    ((one,), is_last) = sock_diag.decode(message(20, entry(info=tcp_info(232))), "tcp", 1)
    assert not is_last
    assert (one.local, one.remote) == ("10.0.0.9:40000", "10.0.0.1:6443")
    assert (one.state, one.cookie, one.uid, one.inode) == ("established", 77, 1000, 4711)
    assert (one.receive_queue_bytes, one.send_queue_bytes) == (11, 22)
    info = sock_diag.parse_tcp_info(one.raw_info)
    assert (info.retransmits, info.backoff, info.has_timestamps) == (2, 3, True)
    assert (info.snd_mss, info.rcv_mss, info.unacked, info.lost) == (16, 20, 24, 32)
    assert (info.last_data_sent_ms, info.last_data_recv_ms) == (44, 52)
    assert (info.pmtu, info.rtt_us, info.rttvar_us, info.snd_cwnd) == (60, 68, 72, 80)
    assert (info.total_retrans, info.bytes_acked, info.bytes_received) == (100, 120, 128)
    assert (info.segs_out, info.segs_in, info.notsent_bytes, info.min_rtt_us) == (
        136,
        140,
        144,
        148,
    )
    assert (info.data_segs_in, info.data_segs_out) == (152, 156)
    assert (info.busy_us, info.rwnd_limited_us) == (168, 176)
    assert (info.bytes_sent, info.bytes_retrans) == (200, 208)


@pytest.mark.parametrize(
    ("length", "known"),
    [
        (104, ()),
        (136, ("bytes_received",)),
        (144, ("bytes_received", "segs_in")),
        (160, ("bytes_received", "segs_in", "min_rtt_us")),
        (192, ("bytes_received", "segs_in", "min_rtt_us", "busy_us")),
        (216, ("bytes_received", "segs_in", "min_rtt_us", "busy_us", "bytes_sent")),
    ],
)
def test_an_older_kernel_tells_less(length: int, known: tuple[str, ...]) -> None:
    info = sock_diag.parse_tcp_info(tcp_info(length))
    later = ("bytes_received", "segs_in", "min_rtt_us", "busy_us", "bytes_sent")
    assert tuple(name for name in later if getattr(info, name) is not None) == known


def test_a_round_trip_that_the_kernel_does_not_know_is_none() -> None:
    raw = bytearray(tcp_info(232))
    raw[148:152] = b"\xff" * 4
    assert sock_diag.parse_tcp_info(bytes(raw)).min_rtt_us is None


def test_too_little_is_refused() -> None:
    with pytest.raises(SocketListError, match="103 bytes"):
        sock_diag.parse_tcp_info(tcp_info(103))


def test_ipv4_within_ipv6_is_ipv4_and_ipv6_has_brackets() -> None:
    mapped = entry(socket.AF_INET6, bytes(10) + b"\xff\xff" + bytes([192, 0, 2, 7]))
    plain = entry(socket.AF_INET6, bytes(15) + b"\x01")
    found, _ = sock_diag.decode(message(18, mapped) + message(20, plain), "tcp", 1)
    assert [one.remote for one in found] == ["192.0.2.7:6443", "[::1]:6443"]


def test_the_last_message_is_told_and_other_answers_are_passed_over() -> None:
    data = message(20, entry(), sequence=8) + message(20, entry()) + message(3, bytes(4))
    found, is_last = sock_diag.decode(data, "udp", 1)
    assert (len(found), is_last) == (1, True)


def test_a_refusal_says_why() -> None:
    with pytest.raises(SocketListError, match="operation not permitted"):
        sock_diag.decode(message(2, struct.pack("=i", -1)), "tcp", 1)


def test_a_state_that_no_kernel_had_is_other() -> None:
    ((one,), _) = sock_diag.decode(message(20, entry(state=99)), "tcp", 1)
    assert one.state == "other"


@given(st.binary(max_size=400))
def test_junk_is_refused_in_one_way(data: bytes) -> None:
    with contextlib.suppress(SocketListError):
        sock_diag.decode(data, "tcp", 1)


@given(st.binary(max_size=300), st.integers(0, 400))
def test_a_damaged_socket_is_refused_in_one_way(junk: bytes, cut: int) -> None:
    good = entry(info=tcp_info(232))
    try:
        found, _ = sock_diag.decode(message(20, good[:cut] + junk), "tcp", 1)
        for one in found:
            sock_diag.parse_tcp_info(one.raw_info)
    except SocketListError:
        pass


def accepts(program: bytes, port: int) -> bool:
    """What a kernel does with a filter (inet_diag_bc_run)."""
    at, left = 0, len(program)
    while left > 0:
        code, yes, no = struct.unpack_from("=BBH", program, at)
        operand = struct.unpack_from("=BBH", program, at + 4)[2] if code != 1 else 0
        holds = {1: False, 4: port >= operand, 5: port <= operand}[code]
        step = yes if holds else no
        at, left = at + step, left - step
    return left == 0


@given(st.frozensets(st.integers(0, 65535), min_size=1, max_size=30), st.integers(0, 65535))
def test_the_filter_accepts_its_ports_and_no_other(ports: frozenset[int], other: int) -> None:
    program = sock_diag.port_filter(ports)
    assert all(accepts(program, port) for port in ports)
    assert accepts(program, other) == (other in ports)


@pytest.mark.parametrize("ports", [(), (-1,), (65536,), tuple(range(2000))])
def test_what_are_no_ports_is_refused(ports: tuple[int, ...]) -> None:
    with pytest.raises(SocketListError):
        sock_diag.port_filter(ports)


def ask(family: int, ports: tuple[int, ...]) -> list[sock_diag.Socket]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as netlink:
        netlink.settimeout(20)
        states = sock_diag.states_mask("established")
        netlink.send(
            sock_diag.encode_request(
                family=family, protocol="tcp", states=states, ports=ports, sequence=5
            )
        )
        found: list[sock_diag.Socket] = []
        is_last = False
        while not is_last:
            some, is_last = sock_diag.decode(netlink.recv(1 << 20), "tcp", 5)
            found += some
        return found


@pytest.mark.parametrize("family", [socket.AF_UNSPEC, socket.AF_INET])
@pytest.mark.parametrize("others", [(), (1,), (1, 2, 65535)])
def test_the_real_kernel_filters_by_port(family: int, others: tuple[int, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            (one,) = ask(family, (port, *others))
            assert one.local == f"127.0.0.1:{client.getsockname()[1]}"
            assert one.remote == f"127.0.0.1:{port}"
            assert sock_diag.parse_tcp_info(one.raw_info).state == "established"
            if others:
                assert port not in {one.remote_port for one in ask(family, others)}
