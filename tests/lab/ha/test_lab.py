"""The HA lab: three masters, one address, real balancers; found again, and used."""

import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from kubelag.errors import LabError
from kubelag.lab.ha.lab import HaLab, attach
from kubelag.lab.ha.plan import BALANCED_PORT, SERVED_PORT
from kubelag.lab.ha.timing import backends_met, raw
from kubelag.lab.network.keepalived import addresses_on
from kubelag.lab.network.lan import Host
from kubelag.lab.waiting import is_met_within

pytestmark = pytest.mark.real
MOVE_S = 15.0


def owners(ha: HaLab) -> list[Host]:
    return [one.host for one in ha.keepaliveds if one.is_owner()]


@contextmanager
def stopped_keepalived(ha: HaLab, host: Host) -> Iterator[None]:
    ha.stop_keepalived(host)
    try:
        yield
    finally:
        ha.start_keepalived(host)
        ha.wait_owner(ha.masters[:1])


@contextmanager
def connection(ha: HaLab, address: str, port: int) -> Iterator[ssl.SSLSocket]:
    """TLS from the client's node; it trusts anybody, since the lab's authority is not the point."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    raw_socket = ha.client.namespace.do(lambda: socket.create_connection((address, port), 5))
    with raw_socket, context.wrap_socket(raw_socket) as secured:
        yield secured


def is_open(secured: ssl.SSLSocket) -> bool:
    """Whether the server still answers on this very connection."""
    try:
        secured.sendall(b"GET /livez HTTP/1.1\r\nHost: lab\r\n\r\n")
        return secured.recv(4096).startswith(b"HTTP/1.1 ")
    except OSError:
        return False


def test_every_host_sends_as_linux_does_by_default(ha: HaLab) -> None:
    setting = Path("/proc/sys/net/ipv4/tcp_congestion_control")
    hosts = (ha.client, *ha.masters)
    assert {host.namespace.do(setting.read_text).strip() for host in hosts} <= {"cubic", "reno"}


def test_the_shared_address_is_on_exactly_one_master_and_moves_when_that_one_gives_up(
    ha: HaLab,
) -> None:
    first, second, _ = ha.masters
    assert owners(ha) == [first]
    with stopped_keepalived(ha, first):
        assert ha.wait_owner() == second
        assert owners(ha) == [second]
        assert ha.plan.vip6 in addresses_on(second)
        assert raw(ha, "/livez")[1] == ""
    assert owners(ha) == [first]


def test_a_round_of_connections_reaches_every_api_server(ha: HaLab) -> None:
    before = backends_met(ha)
    for _ in range(6):
        assert raw(ha, "/livez")[1] == ""
    assert {name: count - before[name] for name, count in backends_met(ha).items()} == {
        "master1": 2,
        "master2": 2,
        "master3": 2,
    }


@pytest.mark.parametrize("user", ["certificate", "token"])
def test_a_kubectl_on_the_clients_node_works_through_the_shared_address(
    ha: HaLab, kubectl_path: Path, user: str
) -> None:
    environment = ha.environment(user)  # type: ignore[arg-type] # one of the literals
    done = ha.run(str(kubectl_path), "get", "nodes", environment=environment)
    assert done.returncode == 0, done.stderr
    assert "node1" in done.stdout
    ha.forget()


def test_the_name_is_known_to_both_name_servers_and_only_on_the_nodes(ha: HaLab) -> None:
    code = "import socket; print(socket.gethostbyname('api.ha.kubelag.test'))"
    before = Path("/etc/resolv.conf").read_bytes()
    try:
        for server in ha.dns.addresses:
            ha.resolve([server])
            assert ha.run("python3", "-c", code).stdout.strip() == ha.vip
    finally:
        ha.resolve()
    assert Path("/etc/resolv.conf").read_bytes() == before


def test_every_host_is_reached_by_both_families(ha: HaLab) -> None:
    for host in ha.masters:
        for address in (host.address, host.address6):
            with connection(ha, address, SERVED_PORT) as secured:
                assert is_open(secured)
    for address in (ha.vip, ha.plan.vip6):
        with connection(ha, address, BALANCED_PORT) as secured:
            assert is_open(secured)


def test_each_api_server_has_a_certificate_of_its_own(ha: HaLab) -> None:
    shown = set()
    for host in ha.masters:
        with connection(ha, host.address, SERVED_PORT) as secured:
            shown.add(secured.getpeercert(binary_form=True))
    assert len(shown) == 3


def test_a_hitless_reload_spares_connections_and_a_hard_one_ends_them(ha: HaLab) -> None:
    usual = ha.usual_balancer
    with connection(ha, ha.vip, BALANCED_PORT) as secured:
        ha.rebalance(replace(usual, retries=2))
        assert ha.haproxies[0].settings.retries == 2
        assert is_open(secured)
        ha.rebalance(usual, "hard")
        assert not is_open(secured)
    assert raw(ha, "/livez")[1] == ""


def test_a_configuration_that_haproxy_refuses_changes_nothing(ha: HaLab) -> None:
    usual = ha.usual_balancer
    with pytest.raises(LabError, match="HAProxy refuses its configuration"):
        ha.rebalance(replace(usual, servers=(replace(usual.servers[0], address="no:such:thing"),)))
    assert ha.haproxies[0].settings == usual
    assert raw(ha, "/livez")[1] == ""


def test_a_balancer_takes_an_api_server_that_is_gone_out_of_the_round(ha: HaLab) -> None:
    ha.members[1].stop()
    try:
        gone = lambda: ha.haproxies[0].counts()["master2"]["status"] == "DOWN"  # noqa: E731 - short
        assert is_met_within(gone, MOVE_S)
        assert not ha.is_running()
    finally:
        ha.calm()
    back = lambda: ha.haproxies[0].counts()["master2"]["status"] == "UP"  # noqa: E731 - the same
    assert is_met_within(back, MOVE_S)
    assert ha.is_running()


def test_another_process_finds_it_and_may_look_but_not_hurt(ha: HaLab) -> None:
    found = attach(ha.directory)
    assert found.plan == ha.plan
    assert found.owner() == ha.masters[0]
    assert found.is_running()
    with pytest.raises(LabError, match="only looked at"):
        found.rebalance(found.usual_balancer)


def test_where_there_is_none_the_next_step_is_told(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="lab up --topology ha"):
        attach(tmp_path)


def test_an_unknown_node_is_answered_with_those_there_are(ha: HaLab) -> None:
    with pytest.raises(LabError, match="no node master4; choose from client, master1"):
        ha.plan.host("master4")


def test_nothing_of_the_machines_own_network_is_touched(ha: HaLab) -> None:
    own = subprocess.run(("ip", "-brief", "address"), capture_output=True, text=True, check=True)
    routes = subprocess.run(("ip", "route"), capture_output=True, text=True, check=True)
    assert ha.vip.rpartition(".")[0] not in own.stdout + routes.stdout
