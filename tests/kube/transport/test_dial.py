"""How connections come about, and what is told where they do not."""

import socket
import time
from pathlib import Path

import pytest

from hostile_server import kubeconfig, serving, well_behaved
from kubelag.errors import KubelagError, TransportError
from kubelag.kube import Client, Settings
from kubelag.kube.transport.dial import Dialer, Route
from kubelag.kube.transport.endpoint import parse_endpoint
from kubelag.kube.transport.events import Phase, RequestDone, Waiting

Events = list[Phase | RequestDone | Waiting]


def version_of(path: Path, events: Events | None = None, **options: object) -> object:
    client = Client(
        env={"KUBECONFIG": str(path), "HOME": str(path.parent)},
        settings=Settings(cache="memory", **options),  # type: ignore[arg-type]
        observe=(events if events is not None else []).append,
    )
    try:
        return client.document("/version")["gitVersion"]
    finally:
        client.forget_connections()


def phases(events: Events) -> list[Phase]:
    return [one for one in events if isinstance(one, Phase)]


def test_a_name_is_looked_up_and_its_addresses_are_told(tmp_path: Path) -> None:
    events: Events = []
    with serving(well_behaved()) as server:
        path = kubeconfig(tmp_path, f"http://localhost:{server.port}")
        assert version_of(path, events) == "v1.30.0"
    dns, *rest = phases(events)
    assert dns.kind == "dns"
    assert "127.0.0.1" in dns.detail
    won = [one for one in rest if one.kind == "connect" and not one.is_failure]
    assert [one.detail for one in won] == [f"127.0.0.1:{server.port}"]


def test_an_address_is_not_looked_up(tmp_path: Path) -> None:
    events: Events = []
    with serving(well_behaved()) as server:
        version_of(kubeconfig(tmp_path, server.url), events)
    assert [one.kind for one in phases(events)] == ["connect", "server", "transfer"]


def test_ipv6_is_spoken_where_there_is_any() -> None:
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with listener:
        port = listener.getsockname()[1]
        route = Route(server=parse_endpoint(f"http://[::1]:{port}", "server"))
        line = Dialer(route).connect(1, for_many=False)
        assert line.address == f"[::1]:{port}"
        line.socket.close()


@pytest.mark.parametrize(
    "host", ["no-such-host.invalid", "a..b", "x" * 300, "-", "1.2.3.4.5", "256.1.1.1"]
)
def test_a_name_that_is_none_is_one_sentence(host: str, tmp_path: Path) -> None:
    with pytest.raises(KubelagError) as raised:
        version_of(kubeconfig(tmp_path, f"http://{host}:1"))
    assert host[:60] in str(raised.value)


def test_a_refused_connection_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    events: Events = []
    with pytest.raises(TransportError, match=f"no connection to 127.0.0.1:{port}: .*refused"):
        version_of(kubeconfig(tmp_path, f"http://127.0.0.1:{port}"), events)
    assert [(one.kind, one.is_failure) for one in phases(events)] == [("connect", True)]


def test_a_server_that_takes_nobody_any_more_is_given_its_time_and_no_more() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)  # noqa: FBT003 - has no other name
            one.connect_ex(("127.0.0.1", port))
        server = parse_endpoint(f"http://127.0.0.1:{port}", "server")
        began_s = time.monotonic()
        with pytest.raises(TransportError, match="no answer"):
            Dialer(Route(server=server, connect_s=0.3)).connect(1, for_many=False)
        assert 0.2 < time.monotonic() - began_s < 5
        for one in waiting:
            one.close()


def test_a_dead_first_address_costs_a_head_start_and_no_more(tmp_path: Path) -> None:
    """`localhost` is ::1 and 127.0.0.1 on most machines; only the second one listens."""
    addresses = {one[4][0] for one in socket.getaddrinfo("localhost", 1)}
    if addresses != {"::1", "127.0.0.1"}:
        pytest.skip("localhost has one address here")
    with serving(well_behaved()) as server:
        began_s = time.monotonic()
        version_of(kubeconfig(tmp_path, f"http://localhost:{server.port}"))
        assert time.monotonic() - began_s < 5


def test_a_connection_is_left_open_for_the_next_request(tmp_path: Path) -> None:
    events: Events = []
    with serving(well_behaved()) as server:
        env = {"KUBECONFIG": str(kubeconfig(tmp_path, server.url)), "HOME": str(tmp_path)}
        client = Client(env=env, settings=Settings(cache="memory"), observe=events.append)
        for _ in range(3):
            client.request("/version")
        client.forget_connections()
    assert sum(one.kind == "connect" for one in phases(events)) == 1


def test_closing_lets_go_of_the_sockets(tmp_path: Path) -> None:
    with serving(well_behaved()) as server:
        env = {"KUBECONFIG": str(kubeconfig(tmp_path, server.url)), "HOME": str(tmp_path)}
        client = Client(env=env, settings=Settings(cache="memory"))
        client.request("/version")
        client.close()
        assert server.is_deserted()
