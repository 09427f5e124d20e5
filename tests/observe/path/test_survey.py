"""The whole path map, over servers, name servers, proxies and a balancer of this machine."""

import datetime as dt
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hostile_server import Authority, HostileServer, kubeconfig, refuses, well_behaved
from kubelag.kube.config.kubeconfig import Kubeconfig
from kubelag.model.path import Backend, PathMap
from kubelag.observe.path import probing, survey
from kubelag.observe.path.backends import Searched
from kubelag.observe.path.balancer import BalancerWatcher, haproxy_sessions
from kubelag.observe.path.survey import Asked, after, before
from tunnel_proxy import TunnelProxy

Serve = Callable[..., HostileServer]
Read = Callable[..., Kubeconfig]


@pytest.fixture
def asked(tmp_path: Path, read_config: Read) -> Callable[..., Asked]:
    """What is asked for one server, with empty files of the machine's."""

    def make(
        url: str, ca: bytes = b"", cluster: dict[str, Any] | None = None, **more: Any
    ) -> Asked:
        config = read_config(kubeconfig(tmp_path, url, ca, None, **cluster or {}))
        files = {"resolv_conf": tmp_path / "resolv.conf", "hosts": tmp_path / "hosts"}
        return Asked(kubeconfig=config, **{"env": {}, **files, **more})

    return make


def surveyed(asked: Asked) -> PathMap:
    """The map, before and after."""
    seen, look = after(asked, before(asked))
    assert (look.observer, look.state) == ("path", "looked"), look.how
    assert seen is not None
    return seen


def test_a_literal_address_is_probed_and_no_name_is_asked_for(
    serve: Serve, asked: Callable[..., Asked]
) -> None:
    authority = Authority()
    server = serve(tls=authority.server())
    seen = surveyed(asked(server.url, authority.pem))
    assert (seen.host, seen.port, seen.tls_name) == ("127.0.0.1", server.port, "127.0.0.1")
    assert (seen.is_literal, seen.names, seen.addresses) == (True, (), ("127.0.0.1",))
    assert [one.status for one in seen.front] == [200] * 7
    assert seen.small_front == ()
    assert (seen.backends, seen.behind) == ((), ())
    assert "did not tell" in seen.backends_why
    assert (seen.proxy, seen.proxy_source) == ("", "")
    assert seen.took_ns > 0


def test_nothing_is_sent_before_the_run(
    serve: Serve, asked: Callable[..., Asked], name_server: Callable[..., Any]
) -> None:
    server, names = serve(), name_server({})
    wanted = asked(f"http://localhost:{server.port}")
    wanted.resolv_conf.write_text(f"nameserver {names.place.partition(':')[0]}")
    earlier = before(wanted)
    assert earlier.resolver is not None
    assert (server.connected.is_set(), names.asked) == (False, [])


def test_the_hosts_file_spares_the_name_servers(serve: Serve, asked: Callable[..., Asked]) -> None:
    authority = Authority()
    server = serve(tls=authority.server("api.example"))
    wanted = asked(f"https://api.example:{server.port}", authority.pem)
    wanted.hosts.write_text("127.0.0.1 api.example\n")
    seen = surveyed(wanted)
    assert (seen.is_literal, seen.names, seen.addresses) == (False, (), ("127.0.0.1",))
    assert seen.resolver is not None
    assert seen.resolver.hosts_file == ("127.0.0.1",)
    assert {one.error for one in seen.front} == {""}
    assert seen.tls_name == "api.example"


def test_names_are_asked_for_and_every_address_is_tried(
    serve: Serve,
    asked: Callable[..., Asked],
    name_server: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    authority = Authority()
    server = serve(tls=authority.server("api.corp.example"))
    names = name_server({"api.corp.example": ("127.0.0.2", "127.0.0.1")})
    wanted = asked(f"https://api.corp.example:{server.port}", authority.pem)
    earlier = before(wanted)
    assert earlier.resolver is not None
    earlier = replace(earlier, resolver=replace(earlier.resolver, servers=(names.place,)))
    monkeypatch.setattr(survey, "find_backends", lambda _: ((), "not looked for"))
    seen, _ = after(wanted, earlier)
    assert seen is not None
    assert seen.addresses == ("127.0.0.2", "127.0.0.1")
    assert [(one.kind, one.code) for one in seen.names] == [("A", "NOERROR"), ("AAAA", "NOERROR")]
    by_address = {one.address: one.error for one in seen.front}
    assert by_address == {
        f"127.0.0.2:{server.port}": "connection refused",
        f"127.0.0.1:{server.port}": "",
    }


def test_another_tls_name_is_the_one_that_counts(serve: Serve, asked: Callable[..., Asked]) -> None:
    authority = Authority()
    server = serve(tls=authority.server("kubernetes"))
    good = surveyed(asked(server.url, authority.pem, {"tls-server-name": "kubernetes"}))
    assert (good.tls_name, {one.error for one in good.front}) == ("kubernetes", {""})
    bad = surveyed(asked(server.url, authority.pem))
    assert all("not trusted" in one.error for one in bad.front)
    assert bad.front[-1].answer_ns is not None


def test_a_silent_server_stalls_with_large_and_with_small_segments(
    silence: Callable[..., int], asked: Callable[..., Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    short = probing.Limits(connect_s=0.2, tls_s=0.2, answer_s=0.2)
    monkeypatch.setattr(
        survey, "Limits", lambda deadline_s, **_: replace(short, deadline_s=deadline_s)
    )
    monkeypatch.setattr(survey, "find_backends", lambda _: ((), "not looked for"))
    seen = surveyed(asked(f"https://127.0.0.1:{silence()}", Authority().pem))
    assert len(seen.front) == 2
    assert {one.error for one in seen.front} == {"TLS was not through within 0.2 s"}
    assert [one.segment_limit_bytes for one in seen.small_front] == [1000, 1000]


def test_backends_are_told_apart_by_their_certificates(
    serve: Serve, asked: Callable[..., Asked], haproxy: Callable[..., Any]
) -> None:
    authority = Authority()
    ports = {f"m{at}": serve(tls=authority.server()).port for at in (1, 2, 3)}
    balancer = haproxy(ports)
    url = f"https://127.0.0.1:{balancer.port}"
    seen = surveyed(asked(url, authority.pem, haproxy=balancer.config))
    assert [one.name for one in seen.backends] == ["m1", "m2", "m3"]
    met = [one.backend for one in seen.front]
    assert len(met) == 7
    assert all(met.count(name) >= 2 for name in ports)
    assert {one.address for one in seen.behind} == {f"127.0.0.1:{port}" for port in ports.values()}
    assert {one.error for one in (*seen.front, *seen.behind)} == {""}
    assert "same certificate" not in seen.backends_why


@pytest.mark.real
def test_a_balancers_counters_tell_a_dead_backend(
    serve: Serve, asked: Callable[..., Asked], haproxy: Callable[..., Any], free_port: Any
) -> None:
    authority = Authority()
    balancer = haproxy({"alive": serve(tls=authority.server()).port, "dead": free_port()})
    url = f"https://127.0.0.1:{balancer.port}"
    seen = surveyed(asked(url, authority.pem, haproxy=balancer.socket))
    early, late = seen.balancer[:2], seen.balancer[2:]
    assert [one.server for one in early] == [one.server for one in late] == ["alive", "dead"]
    assert late[0].sessions > early[0].sessions
    # With `option redispatch` the try at another server counts, and not as a retry.
    assert late[1].redispatches > early[1].redispatches
    assert [one.error for one in seen.behind if one.address == seen.backends[1].address] == [
        "connection refused",
        "connection refused",
    ]


@pytest.mark.real
def test_one_silent_backend_is_met_by_its_share_and_named(
    serve: Serve,
    asked: Callable[..., Asked],
    haproxy: Callable[..., Any],
    silence: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short = probing.Limits(connect_s=1.0, tls_s=1.0, answer_s=1.0)
    monkeypatch.setattr(
        survey, "Limits", lambda deadline_s, **_: replace(short, deadline_s=deadline_s)
    )
    authority, silent = Authority(), silence()
    healthy = [serve(tls=authority.server()).port for _ in range(2)]
    balancer = haproxy({"m1": healthy[0], "silent": silent, "m3": healthy[1]})
    url = f"https://127.0.0.1:{balancer.port}"
    seen = surveyed(asked(url, authority.pem, haproxy=balancer.config))
    stalled = [one for one in seen.front if one.error]
    assert len(stalled) in {2, 3}
    assert {one.backend for one in seen.front if not one.error} == {"m1", "m3"}
    assert len(seen.small_front) == 7
    assert any(one.error for one in seen.small_front)
    dead = {one.address for one in seen.behind if one.error}
    assert dead == {f"127.0.0.1:{silent}"}


@pytest.mark.real
def test_one_certificate_for_all_is_said(
    serve: Serve, asked: Callable[..., Asked], haproxy: Callable[..., Any]
) -> None:
    authority = Authority()
    context = authority.server()
    balancer = haproxy({name: serve(tls=context).port for name in ("m1", "m2")})
    url = f"https://127.0.0.1:{balancer.port}"
    seen = surveyed(asked(url, authority.pem, haproxy=balancer.config))
    assert {one.backend for one in seen.front} == {""}
    assert "all show the same certificate" in seen.backends_why


@pytest.mark.real
def test_sessions_say_who_serves_a_connection(serve: Serve, haproxy: Callable[..., Any]) -> None:
    balancer = haproxy({"m1": serve(is_deaf=True).port})
    watcher = BalancerWatcher(balancer.socket)
    watcher.start()
    with socket.create_connection(("127.0.0.1", balancer.port)) as held:
        own = f"127.0.0.1:{held.getsockname()[1]}"
        held.sendall(b"x")
        deadline = time.monotonic() + 20
        while own not in haproxy_sessions(balancer.socket):
            assert time.monotonic() < deadline
        found = watcher.stop()
    assert found[own] == "m1"
    assert watcher.why == ""


def test_a_balancer_that_is_gone_is_left_alone(tmp_path: Path) -> None:
    watcher = BalancerWatcher(tmp_path / "none.sock")
    watcher.start()
    assert watcher.stop() == {}
    assert watcher.why == "no such file or directory"


@pytest.mark.parametrize("source", ["proxy-url", "HTTPS_PROXY", "https_proxy"])
def test_a_proxy_is_gone_through_and_passed_by(
    source: str, serve: Serve, asked: Callable[..., Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "find_backends", lambda _: ((), "not looked for"))
    monkeypatch.setattr("kubelag.kube.transport.proxy._is_spared", lambda *_: False)
    authority = Authority()
    server, proxy = serve(tls=authority.server()), TunnelProxy()
    url = f"http://me:planted@127.0.0.1:{proxy.port}"
    try:
        cluster = {"proxy-url": url} if source == "proxy-url" else {}
        env = {} if cluster else {source: url}
        seen = surveyed(asked(server.url, authority.pem, cluster, env=env))
    finally:
        proxy.server.close()
    assert (seen.proxy, seen.proxy_source) == (f"127.0.0.1:{proxy.port}", source)
    assert "planted" not in repr(seen)
    through = [one for one in seen.front if one.hop == "proxy"]
    past = [one for one in seen.front if one.hop == "front"]
    assert (len(through), len(past)) == (7, 2)
    assert {one.error for one in seen.front} == {""}
    assert all(one.tunnel_ns for one in through)
    assert proxy.asked_for[0] == f"127.0.0.1:{server.port}"


def test_no_proxy_with_a_network_spares_the_server(
    serve: Serve, asked: Callable[..., Asked]
) -> None:
    env = {"HTTP_PROXY": "http://192.0.2.1:1", "NO_PROXY": "127.0.0.0/8"}
    assert surveyed(asked(serve().url, env=env)).proxy == ""


def test_a_dead_proxy_is_told_apart_from_the_server(
    serve: Serve, asked: Callable[..., Asked], free_port: Callable[[], int]
) -> None:
    authority = Authority()
    server = serve(tls=authority.server())
    cluster = {"proxy-url": f"http://127.0.0.1:{free_port()}"}
    seen = surveyed(asked(server.url, authority.pem, cluster))
    errors = {one.hop: one.error for one in seen.front}
    assert errors == {"proxy": "connection refused", "front": ""}


def test_a_search_that_hangs_does_not_hold_up_the_front(
    serve: Serve, asked: Callable[..., Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, let_go = serve(), threading.Event()
    found = (Backend(name="m1", address=f"127.0.0.1:{server.port}", source="endpoints"),)

    def search(_: object) -> tuple[tuple[Backend, ...], str]:
        assert server.asked.wait(20)
        let_go.wait(20)
        return found, "late"

    def progress(stage: str) -> None:
        if stage == "backends one by one":
            let_go.set()

    monkeypatch.setattr(survey, "_HEAD_START_S", 0.01)
    monkeypatch.setattr(survey, "find_backends", search)
    seen = surveyed(asked(server.url, progress=progress))
    assert (seen.backends, seen.backends_why) == (found, "late")
    assert (len(seen.front), len(seen.behind)) == (7, 2)


def test_backends_are_looked_for_at_the_server_of_the_command_line(
    serve: Serve, asked: Callable[..., Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    searched: list[str] = []

    def search(one: Searched) -> tuple[tuple[Backend, ...], str]:
        searched.append(one.kubeconfig.cluster.server)
        return (), "none"

    monkeypatch.setattr(survey, "find_backends", search)
    surveyed(asked("https://elsewhere.example:6443", server=server.url))
    assert searched == [server.url]


def test_given_backends_are_probed_with_the_right_name(
    serve: Serve, asked: Callable[..., Asked]
) -> None:
    authority = Authority()
    front = serve(tls=authority.server("api.example"))
    good = serve(tls=authority.server("api.example"))
    old = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    bad = serve(tls=authority.server("api.example", ends=old))
    places = tuple(f"127.0.0.1:{one.port}" for one in (good, bad))
    wanted = asked(front.url, authority.pem, {"tls-server-name": "api.example"}, backends=places)
    seen = surveyed(wanted)
    good_errors, bad_errors = (
        [one.error for one in seen.behind if one.address == place] for place in places
    )
    assert good_errors == ["", ""]
    assert bad_errors[0].endswith("certificate has expired")
    assert bad_errors[1].endswith("it ended on 2020-01-01T00:00:00Z")
    dated = [one.certificate.ends_at for one in seen.behind if one.certificate]
    assert "2020-01-01T00:00:00Z" in dated


def test_no_credential_leaves_with_a_probe(serve: Serve, tmp_path: Path, read_config: Read) -> None:
    server = serve(refuses(403, "Forbidden"))
    path = kubeconfig(tmp_path, server.url, user={"token": "planted"})
    surveyed(Asked(kubeconfig=read_config(path), env={}))
    probes = [one for one in server.heads if one.path == "/version"]
    assert probes
    assert all(not one.header("authorization") for one in probes)


def test_a_server_over_http1_only_is_told(serve: Serve, asked: Callable[..., Asked]) -> None:
    authority = Authority()
    old = authority.server()
    old.set_alpn_protocols([])
    seen = surveyed(asked(serve(tls=old).url, authority.pem))
    assert {one.protocol for one in seen.front} == {""}


@pytest.mark.parametrize(
    ("url", "more", "why"),
    [
        ("https://bad host", {}, "is no URL"),
        ("https://127.0.0.1:1", {"backends": ("master1",)}, "--backend: 'master1'"),
        ("https://127.0.0.1:1", {"cluster": {"proxy-url": "ftp://x"}}, "proxy-url"),
    ],
)
def test_a_way_that_leads_nowhere_could_not_be_looked_at(
    url: str, more: dict[str, Any], why: str, asked: Callable[..., Asked]
) -> None:
    wanted = asked(url, **more)
    seen, look = after(wanted, before(wanted))
    assert (seen, look.state) == (None, "could_not_look")
    assert why in look.how


def test_a_crash_is_told_and_no_secret_with_it(
    serve: Serve, asked: Callable[..., Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise ZeroDivisionError("https://me:planted@h")

    monkeypatch.setattr(survey, "go_rounds", crash)
    wanted = asked(serve(well_behaved()).url)
    seen, look = after(wanted, before(wanted))
    assert (seen, look.state) == (None, "could_not_look")
    assert look.how == "it crashed: ZeroDivisionError: https://REDACTED@h"


def test_progress_is_told_stage_by_stage(serve: Serve, asked: Callable[..., Asked]) -> None:
    told: list[str] = []
    surveyed(asked(serve().url, progress=told.append))
    assert told == ["backends", "addresses", "backends one by one"]
