"""What HAProxy and keepalived are told."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from kubelag.errors import LabError
from kubelag.lab.network.haproxy import BackendServer, BalancerSettings, place_balancer
from kubelag.lab.network.keepalived import Keepalived
from kubelag.lab.network.lan import Host
from kubelag.lab.network.namespaces import Namespace
from kubelag.lab.tools import run_tool

SETTINGS = BalancerSettings(
    servers=tuple(BackendServer(name=f"master{n}", address=f"10.75.0.1{n}:6443") for n in (1, 2, 3))
)
HOST = Host(
    name="master1",
    namespace=Namespace(name="nowhere"),
    address="10.75.0.11",
    address6="fd75:6b6c::11",
    interface="eth0",
    port="master1",
)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (SETTINGS, "server master2 10.75.0.12:6443 check check-ssl verify none inter 500ms fall 3"),
        (replace(SETTINGS, check="tcp"), "server master2 10.75.0.12:6443 check inter 500ms"),
        (replace(SETTINGS, check="none"), "server master2 10.75.0.12:6443\n"),
        (replace(SETTINGS, redispatch=False), "no option redispatch"),
        (replace(SETTINGS, timeout_connect_s=0.25), "timeout connect 250ms"),
    ],
)
def test_each_setting_is_a_line_that_haproxy_accepts(
    tmp_path: Path, settings: BalancerSettings, line: str
) -> None:
    assert line in settings.text
    assert "balance roundrobin" in settings.text
    if shutil.which("haproxy", path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
        pytest.skip("haproxy is not installed")
    (tmp_path / "haproxy.cfg").write_text(settings.text)
    run_tool(("haproxy", "-c", "-f", str(tmp_path / "haproxy.cfg")), problem="refused")


def test_a_socket_path_that_would_be_cut_is_refused_beforehand(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="too long for a socket"):
        place_balancer(HOST, tmp_path, tmp_path / ("x" * 90))


def test_keepalived_speaks_by_unicast_and_runs_no_scripts(tmp_path: Path) -> None:
    keepalived = Keepalived(
        host=HOST,
        peers=("10.75.0.12", "10.75.0.13"),
        priority=103,
        shared=("10.75.0.10/24", "fd75:6b6c::10/64"),
        directory=tmp_path,
    )
    text = keepalived.text
    assert "unicast_src_ip 10.75.0.11" in text
    assert text.index("10.75.0.10/24") < text.index("virtual_ipaddress_excluded")
    assert "script" not in text
    assert all(str(tmp_path) in word for word in keepalived.daemon.argv if word.startswith("/"))
