"""One connection, stage by stage, against servers and proxies that behave and that do not."""

import datetime as dt
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hostile_server import Authority, HostileServer, refuses
from kubelag.kube.transport.endpoint import Endpoint
from kubelag.kube.transport.tls import TlsSettings
from kubelag.observe.path.probing import Limits, Probe, probe_address
from tunnel_proxy import TunnelProxy

Serve = Callable[..., HostileServer]
SHORT = Limits(connect_s=0.3, proxy_s=0.3, tls_s=0.3, answer_s=0.3)


def probe(port: int, authority: Authority | None = None, **more: Any) -> Probe:
    """A probe of a port of this machine."""
    scheme = "https" if authority else "http"
    tls = TlsSettings(ca_pem=authority.pem, server_name="127.0.0.1") if authority else None
    server = Endpoint(scheme=scheme, host="127.0.0.1", port=port)
    whole = Probe(address=f"127.0.0.1:{port}", hop="front", server=server, tls=tls)
    return replace(whole, **more)


def test_every_stage_is_timed(serve: Serve) -> None:
    authority = Authority()
    server = serve(tls=authority.server("127.0.0.1", "api.example"))
    seen = probe_address(probe(server.port, authority))
    assert (seen.error, seen.status, seen.protocol, seen.tls_version) == (
        "",
        200,
        "http/1.1",
        "TLSv1.3",
    )
    stages = [seen.connect_ns, seen.tls_ns, seen.answer_ns]
    assert all(stages)
    assert sum(one or 0 for one in stages) <= seen.took_ns
    assert seen.certificate is not None
    assert seen.certificate.names == ("127.0.0.1", "api.example")
    assert seen.rtt_ns
    assert seen.segment_bytes
    assert seen.path_mtu_bytes
    assert seen.tunnel_ns is None


def test_nothing_but_a_bare_request_is_sent(serve: Serve) -> None:
    server = serve()
    probe_address(probe(server.port))
    (sent,) = server.heads
    names = {line.partition(":")[0].lower() for line in sent.head.split("\r\n")[1:]}
    assert (sent.method, sent.target) == ("GET", "/version")
    assert names <= {"host", "user-agent", "accept-encoding", "content-length"}


def test_a_refusal_is_an_answer(serve: Serve) -> None:
    seen = probe_address(probe(serve(refuses(401, "Unauthorized")).port))
    assert (seen.status, seen.error) == (401, "")


def test_a_port_where_nobody_listens(free_port: Callable[[], int]) -> None:
    seen = probe_address(probe(free_port()))
    assert (seen.error, seen.connect_ns) == ("connection refused", None)


def test_a_server_that_takes_connections_and_is_silent(silence: Callable[..., int]) -> None:
    plain = probe_address(probe(silence(), limits=SHORT))
    assert plain.connect_ns is not None
    assert plain.error == "no answer to the request within 0.3 s"
    secure = probe_address(probe(silence(), Authority(), limits=SHORT))
    assert (secure.tls_ns, secure.error) == (None, "TLS was not through within 0.3 s")
    assert secure.rtt_ns


def test_a_connection_that_is_never_taken() -> None:
    with socket.socket() as full, socket.socket() as filler, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for one in (filler, second):
            one.settimeout(0)
            one.connect_ex(full.getsockname())
        seen = probe_address(probe(full.getsockname()[1], limits=SHORT))
    assert (seen.connect_ns, seen.error) == (None, "no answer to connecting within 0.3 s")


@pytest.mark.parametrize(
    ("names", "ends", "why"),
    [
        (("127.0.0.1",), dt.datetime(2020, 1, 1, tzinfo=dt.UTC), "certificate has expired"),
        (("other.example",), None, "ip address mismatch"),
    ],
    ids=["expired", "another name"],
)
def test_a_certificate_that_is_not_trusted_is_looked_at_all_the_same(
    names: tuple[str, ...], ends: dt.datetime | None, why: str, serve: Serve
) -> None:
    authority = Authority()
    server = serve(tls=authority.server(*names, ends=ends))
    seen = probe_address(probe(server.port, authority))
    assert seen.error.startswith("its certificate is not trusted")
    assert why in seen.error
    assert seen.answer_ns is None
    looked = probe_address(probe(server.port, authority, is_verified=False))
    assert (looked.error, looked.status) == ("", 200)
    assert looked.certificate is not None
    assert looked.certificate.names == names


def test_a_stranger_is_not_trusted(serve: Serve) -> None:
    seen = probe_address(probe(serve(tls=Authority().server()).port, Authority()))
    assert seen.error.startswith("its certificate is not trusted")


def test_a_server_that_speaks_no_tls_or_no_http(serve: Serve) -> None:
    def chatter(line: socket.socket) -> None:
        line.sendall(b"220 mail.example ready\r\n" * 9)

    assert probe_address(probe(serve(greet=chatter).port, Authority())).error.startswith(
        "TLS failed"
    )
    assert probe_address(probe(serve(greet=chatter).port)).error
    assert probe_address(probe(serve(greet=lambda line: line.close()).port)).error


def test_http2_is_spoken_where_it_is_chosen(serve: Serve) -> None:
    context = Authority()
    server_context = context.server()
    server_context.set_alpn_protocols(["h2"])

    def answer(line: socket.socket) -> None:
        line.recv(65536)
        settings = b"\0\0\0\4\0\0\0\0\0"
        line.sendall(settings + b"\0\0\1\1\5\0\0\0\1" + b"\x88")
        line.recv(65536)

    seen = probe_address(probe(serve(tls=server_context, greet=answer).port, context))
    assert (seen.protocol, seen.status, seen.error) == ("h2", 200, "")


def test_segments_can_be_kept_small(serve: Serve) -> None:
    seen = probe_address(probe(serve().port, segment_limit_bytes=1000))
    assert seen.segment_limit_bytes == 1000
    assert seen.segment_bytes is not None
    assert seen.segment_bytes <= 1000


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_proxy_is_asked_for_a_way(scheme: str, serve: Serve) -> None:
    authority = Authority()
    server, proxy = serve(tls=authority.server()), TunnelProxy()
    try:
        way = Endpoint(scheme=scheme, host="127.0.0.1", port=proxy.port)
        wanted = probe(server.port, authority, address=f"127.0.0.1:{proxy.port}", proxy=way)
        seen = probe_address(replace(wanted, hop="proxy"))
    finally:
        proxy.server.close()
    assert (seen.error, seen.status, seen.hop) == ("", 200, "proxy")
    assert seen.tunnel_ns


def test_a_proxy_that_is_silent_refuses_or_hides_its_password(
    serve: Serve, silence: Callable[..., int]
) -> None:
    authority = Authority()

    def through(port: int) -> str:
        way = Endpoint(scheme="http", host="127.0.0.1", port=port, user="me:planted")
        return probe_address(probe(port, authority, proxy=way, limits=SHORT)).error

    assert through(silence()) == "the proxy gave no answer within 0.3 s"
    assert "407" in through(serve(lambda exchange: exchange.answer(407)).port)
    assert "planted" not in through(serve(lambda exchange: exchange.answer(403)).port)
    way = Endpoint(scheme="http", host="127.0.0.1", port=1, user="me:planted")
    assert "planted" not in repr(probe(1, authority, proxy=way))


def test_a_deadline_ends_every_stage(silence: Callable[..., int]) -> None:
    seen = probe_address(probe(silence(), limits=Limits(deadline_s=0.0)))
    assert seen.error == "no answer to connecting in the time that was left"


def test_ipv6_is_dialled() -> None:
    with socket.socket(socket.AF_INET6) as sock:
        try:
            sock.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6 loopback")
        sock.listen()
        address = f"[::1]:{sock.getsockname()[1]}"
        seen = probe_address(probe(1, address=address, limits=SHORT))
    assert seen.connect_ns
    assert seen.path_mtu_bytes
    assert seen.address == address


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1", "no.such.name.invalid:1"])
def test_what_is_no_address_is_not_dialled(address: str) -> None:
    assert "address" in (error := probe_address(probe(1, address=address)).error) or "name" in error


def test_a_certificate_authority_that_is_none_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        wanted = probe(server.getsockname()[1])
        broken = TlsSettings(ca_pem=b"nonsense", server_name="x")
        assert probe_address(replace(wanted, tls=broken)).error


def test_the_systems_authorities_count_where_the_cluster_brings_none(serve: Serve) -> None:
    wanted = probe(serve(tls=Authority().server()).port)
    seen = probe_address(replace(wanted, tls=TlsSettings(server_name="127.0.0.1")))
    assert seen.error.startswith("its certificate is not trusted")
    insecure = TlsSettings(server_name="127.0.0.1", is_insecure=True)
    assert probe_address(replace(wanted, tls=insecure)).status == 200
