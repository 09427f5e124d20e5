"""Several servers are one cluster, each on its own host, and nothing of them is left."""

import json
import os
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from kubelag.errors import LabError
from kubelag.lab.control_plane.certificates import Certificates
from kubelag.lab.control_plane.envtest import ASSETS_VARIABLE
from kubelag.lab.control_plane.group import Group, Place, attach_group, start_group
from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.network.namespaces import Namespace, make_namespace, why_no_namespaces
from kubelag.lab.processes import find_marked, is_running
from kubelag.lab.state import Ledger

OPTIONS = ControlPlaneOptions(group_versions=40, pods=2)
VIP, VIP_NAME = "10.88.0.100", "api.lab.example"
ADDRESSES = ("10.88.0.1", "10.88.0.2", "10.88.0.3")
ENDPOINTS = "/api/v1/namespaces/default/endpoints/kubernetes"
SLICES = "/apis/discovery.k8s.io/v1beta1/namespaces/default/endpointslices/kubernetes"
END_S = 20


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """Takes everything away at the end."""
    with Ledger.open(tmp_path_factory.mktemp("ledger") / "lab") as ledger:
        yield ledger


@pytest.fixture(scope="module")
def hosts(ledger: Ledger) -> tuple[Namespace, ...]:
    """Three hosts on one bridge, which is in the first of them."""
    if why := why_no_namespaces():
        pytest.skip(f"{why}: no servers on hosts of their own were tested")
    hosts = tuple(make_namespace(ledger, f"klgrp{number}") for number in range(3))
    ip(hosts[0], "link", "add", "bridge", "type", "bridge")
    for number, host in enumerate(hosts[1:], start=1):
        inside = ("name", "eth0", "netns", host.name)
        ip(hosts[0], "link", "add", f"port{number}", "type", "veth", "peer", *inside)
        ip(hosts[0], "link", "set", f"port{number}", "master", "bridge", "up")
    for host, link, address in zip(hosts, ("bridge", "eth0", "eth0"), ADDRESSES, strict=True):
        ip(host, "address", "add", f"{address}/24", "dev", link)
        ip(host, "link", "set", link, "up")
    return hosts


def ip(host: Namespace, *words: str) -> None:
    host.tool("ip", *words, problem="The hosts cannot be joined")


@pytest.fixture(scope="module")
def places(hosts: tuple[Namespace, ...]) -> tuple[Place, ...]:
    """One on each host."""
    return tuple(
        Place(name=f"master{number}", namespace=host, address=address)
        for number, (host, address) in enumerate(zip(hosts, ADDRESSES, strict=True), start=1)
    )


@pytest.fixture(
    scope="module", params=["embedded", pytest.param("envtest", marks=pytest.mark.real)]
)
def group(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    places: tuple[Place, ...],
    ledger: Ledger,
) -> Iterator[Group]:
    """Three servers of each kind."""
    if request.param == "envtest" and not os.environ.get(ASSETS_VARIABLE):
        pytest.skip(f"{ASSETS_VARIABLE} is not set: no group of real servers was tested")
    directory = tmp_path_factory.mktemp("group") / "lab"
    names = (VIP, VIP_NAME, *ADDRESSES[:1])
    started = start_group(
        directory, request.param, OPTIONS, places, names=names, mark=ledger.environment
    )
    yield started
    started.stop()
    assert not find_marked(ledger.token)


def ask(group: Group, place: Place, path: str) -> Any:
    """What a server answers its own host."""
    with closing(group.open_client(place)) as client:
        answer = client.request("GET", path)
        assert answer.status == 200, answer.body
        return answer.json()


def shown(group: Group, host: Namespace, address: str, name: str) -> bytes:
    """The certificate that a server shows at an address, if it is good for the name."""
    context = ssl.create_default_context(cafile=str(Certificates.below(group.directory).ca))

    def connect() -> bytes:
        with (
            socket.create_connection((address, 6443), timeout=END_S) as plain,
            context.wrap_socket(plain, server_hostname=name) as secure,
        ):
            return secure.getpeercert(binary_form=True) or b""

    return host.do(connect)


def test_members_are_in_the_order_of_their_places(group: Group, places: tuple[Place, ...]) -> None:
    assert [member.url for member in group.members] == [
        f"https://{address}:6443" for address in ADDRESSES
    ]
    assert all(member.is_running() for member in group.members)
    assert len({member.pids for member in group.members}) == 3
    assert {member.version for member in group.members} != {""}
    assert [member.directory.name for member in group.members] == [place.name for place in places]


def test_every_server_is_reached_from_every_host_under_all_its_names(
    group: Group, hosts: tuple[Namespace, ...], places: tuple[Place, ...]
) -> None:
    for place in places:
        names = (place.address, place.name, VIP, VIP_NAME, "localhost", "127.0.0.1")
        found = {shown(group, host, place.address, name) for host in hosts for name in names}
        assert len(found) == 1


def test_a_certificate_is_good_for_nobody_else(group: Group, hosts: tuple[Namespace, ...]) -> None:
    for name in (ADDRESSES[1], "master2", "other.example"):
        with pytest.raises(ssl.SSLCertVerificationError):
            shown(group, hosts[0], ADDRESSES[2], name)
    ours = {shown(group, hosts[0], address, VIP) for address in ADDRESSES}
    assert len(ours) == 3


def test_a_host_is_listened_on_as_a_whole(group: Group, hosts: tuple[Namespace, ...]) -> None:
    families = ["127.0.0.1"] + ["::1"] * hosts[1].do(socket.has_dualstack_ipv6)
    for address in families:
        assert shown(group, hosts[1], address, "master2")


def test_every_server_names_all(group: Group, places: tuple[Place, ...]) -> None:
    for place in places:
        subset = ask(group, place, ENDPOINTS)["subsets"]
        assert subset == [
            {
                "addresses": [{"ip": address} for address in ADDRESSES],
                "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
            }
        ]
        found = ask(group, place, SLICES)
        assert found["endpoints"] == [
            {"addresses": [address], "conditions": {"ready": True}} for address in ADDRESSES
        ]


def test_every_server_has_the_same_objects(group: Group, places: tuple[Place, ...]) -> None:
    paths = (
        *("/api/v1/nodes", "/api/v1/pods", "/apis/g0.example.com/v1/things0", "/api/v1/namespaces"),
        *("/apis", "/api/v1/namespaces/default/pods/pod1"),
    )
    for path in paths:
        found = [ask(group, place, path) for place in places]
        assert len({json.dumps(each) for each in found}) == 1, path


def test_a_token_is_known_to_all(group: Group, places: tuple[Place, ...]) -> None:
    for user, status in (("reader", 200), ("token", 200), ("forbidden", 403)):
        config = yaml.safe_load(group.kubeconfig(places[0].url, user).read_text())  # type: ignore[arg-type]
        token = config["users"][0]["user"]["token"]
        for place in places:
            assert status_of(group, place, token) == status


def status_of(group: Group, place: Place, token: str) -> int:
    from http.client import HTTPSConnection  # noqa: PLC0415 - beside its one use

    context = ssl.create_default_context(cafile=str(Certificates.below(group.directory).ca))
    connection = HTTPSConnection(place.address, place.port, context=context, timeout=END_S)
    with closing(connection):
        place.do(connection.connect)
        connection.request("GET", "/api/v1/nodes", headers={"Authorization": f"Bearer {token}"})
        return connection.getresponse().status


def test_each_way_and_user_has_a_private_kubeconfig(group: Group) -> None:
    ways = (f"https://{VIP}:8443", f"https://{VIP_NAME}:8443", f"https://{ADDRESSES[0]}:6443")
    paths = [group.kubeconfig(url, user) for url in ways for user in ("certificate", "reader")]  # type: ignore[arg-type]
    assert len(set(paths)) == 6
    for path in paths:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    config = yaml.safe_load(group.kubeconfig(ways[0]).read_text())
    assert config["clusters"][0]["cluster"]["server"] == ways[0]
    with pytest.raises(LabError, match="no user nobody"):
        group.kubeconfig(ways[0], "nobody")  # type: ignore[arg-type]


@pytest.mark.real
def test_kubectl_is_content_with_each(
    group: Group, hosts: tuple[Namespace, ...], places: tuple[Place, ...], tmp_path: Path
) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("there is no kubectl: it was not tried with a group of servers")
    for place in places:
        path = group.kubeconfig(place.url, "reader")
        words = (kubectl, "--kubeconfig", str(path), "get", "endpoints", "kubernetes")
        done = subprocess.run(
            hosts[0].argv(words),
            env={"HOME": str(tmp_path), "PATH": os.defpath},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert ",".join(f"{address}:6443" for address in ADDRESSES) in done.stdout, done.stderr


def test_one_server_stops_and_starts_again_by_itself(
    group: Group, hosts: tuple[Namespace, ...], places: tuple[Place, ...]
) -> None:
    before = shown(group, hosts[0], ADDRESSES[1], VIP)
    stopped = group.members[1]
    stopped.stop()
    assert [member.is_running() for member in group.members] == [True, False, True]
    with pytest.raises(OSError, match="refused"):
        shown(group, hosts[0], ADDRESSES[1], VIP)
    assert ask(group, places[2], "/api/v1/nodes/node1")
    # another process would do it like this
    again = attach_group(group.directory).restart(stopped)
    assert shown(group, hosts[0], ADDRESSES[1], VIP) == before
    assert again == group.members[1]
    assert (again.url, again.version) == (stopped.url, stopped.version)
    assert again.pids != stopped.pids
    with pytest.raises(LabError, match="master2 runs already"):
        group.restart(again)
    # who still holds the handle of before does no harm
    stopped.stop()
    assert again == group.members[1]
    assert again.is_running()


def test_one_server_is_changed_alone(group: Group, places: tuple[Place, ...]) -> None:
    changed = ControlPlaneOptions(group_versions=40, pods=2, nodes=5)
    if group.kind == "envtest":
        with pytest.raises(LabError, match="does not change"):
            group.reconfigure(group.members[0], changed)
        return
    group.reconfigure(group.members[0], changed)
    counts = [len(ask(group, place, "/api/v1/nodes")["items"]) for place in places]
    assert counts == [5, 3, 3]
    # it stays so when it starts anew
    group.members[0].stop()
    group.restart(group.members[0])
    assert len(ask(group, places[0], "/api/v1/nodes")["items"]) == 5
    group.reconfigure(group.members[0], OPTIONS)
    assert len(ask(group, places[0], "/api/v1/nodes")["items"]) == 3


def test_it_is_found_again_by_its_directory(group: Group) -> None:
    assert attach_group(group.directory) == group
    assert attach_group(group.directory).members == group.members


def test_everything_written_is_private(group: Group) -> None:
    found = [group.directory, *group.directory.rglob("*")]
    # etcd makes its socket and data for everybody, in a directory that nobody else enters
    ours = [path for path in found if "etcd" not in path.parts and not path.is_socket()]
    assert len(ours) > 30
    assert not [path for path in ours if stat.S_IMODE(path.lstat().st_mode) & 0o077]


def on_loopback(count: int) -> list[Place]:
    return [
        Place(name=f"master{number}", namespace=None, address="127.0.0.1", port=0)
        for number in range(1, count + 1)
    ]


def test_without_namespaces_servers_share_loopback(tmp_path: Path) -> None:
    group = start_group(tmp_path / "lab", "embedded", OPTIONS, on_loopback(2), names=(), mark={})
    try:
        ports = [place.port for place in group.places]
        assert len(set(ports)) == 2
        assert 0 not in ports
        subsets = ask(group, group.places[0], ENDPOINTS)["subsets"]
        assert [subset["ports"][0]["port"] for subset in subsets] == sorted(ports)
        processes = group.processes
        assert len(processes) == 2
        stranger = replace(group.members[0], directory=tmp_path / "elsewhere" / "master1")
        with pytest.raises(LabError, match="is none of the API servers in"):
            group.restart(stranger)
    finally:
        group.stop()
    group.stop()
    assert not any(map(is_running, processes))
    assert not any(member.is_running() for member in group.members)
    with pytest.raises(LabError, match="no API servers in"):
        attach_group(group.directory)


PARENT = """
    import os, pathlib, signal, sys
    from kubelag.lab.control_plane.group import Place, start_group
    from kubelag.lab.control_plane.options import ControlPlaneOptions
    places = [Place(name="master1", namespace=None, address="127.0.0.1", port=0)]
    start_group(pathlib.Path(sys.argv[1]), "embedded", ControlPlaneOptions(), places, names=(),
                mark={})
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_outlives_the_command_that_started_it(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", textwrap.dedent(PARENT), str(tmp_path / "lab")]
    assert subprocess.run(argv, check=False, timeout=200).returncode == -signal.SIGKILL
    group = attach_group(tmp_path / "lab")
    try:
        assert ask(group, group.places[0], "/version")
    finally:
        group.stop()
    assert not any(psutil.pid_exists(process.pid) for process in group.processes)


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ((), "needs a place"),
        (("a", "a"), "Two API servers are named a"),
        (("..",), "is no name"),
        (("",), "is no name"),
        (("a.b",), "is no name"),
    ],
)
def test_places_must_be_told_apart(tmp_path: Path, names: tuple[str, ...], problem: str) -> None:
    places = [Place(name=name, namespace=None, address="127.0.0.1", port=0) for name in names]
    with pytest.raises(LabError, match=problem):
        start_group(tmp_path / "lab", "embedded", OPTIONS, places, names=(), mark={})
    assert not (tmp_path / "lab").exists()


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        places = [Place(name="master1", namespace=None, address="127.0.0.1", port=port)]
        with pytest.raises(LabError, match=f"master1 cannot listen on 127.0.0.1:{port}"):
            start_group(tmp_path / "lab", "embedded", OPTIONS, places, names=(), mark={})


def test_real_servers_refuse_what_they_cannot_be(tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    with pytest.raises(LabError, match="cannot be known to others"):
        start_group(lab, "envtest", OPTIONS, on_loopback(1), names=(), mark={})
    slow = ControlPlaneOptions(storage_latency_s=1.0, queue_latency_s=1.0)
    with pytest.raises(LabError, match="cannot be asked for queue_latency_s, storage_latency_s"):
        start_group(lab, "envtest", slow, on_loopback(1), names=(), mark={})
    assert not lab.exists()


def test_nothing_is_left_of_a_group_that_does_not_come_up(
    tmp_path: Path,
    hosts: tuple[Namespace, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, words in (("etcd", "exec sleep 1000"), ("kube-apiserver", "echo broken; exit 1")):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{words}\n")
        program.chmod(0o700)
    monkeypatch.setenv(ASSETS_VARIABLE, str(tmp_path))
    place = Place(name="master1", namespace=hosts[1], address=ADDRESSES[1], port=7443)
    mark = {"KUBELAG_LAB": "klgrp-broken"}
    with pytest.raises(LabError, match="ended before it was ready: broken"):
        start_group(tmp_path / "lab", "envtest", OPTIONS, [place], names=(), mark=mark)
    assert not find_marked("klgrp-broken")
