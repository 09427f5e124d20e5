"""Finding the API servers behind a balancer."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostile_server import Authority, HostileServer, kubeconfig, refuses, well_behaved
from kubelag.errors import UsageError
from kubelag.kube.config.kubeconfig import Kubeconfig
from kubelag.observe.path.backends import (
    Searched,
    addresses_of_slices,
    checked_backends,
    find_backends,
    stats_socket_of,
)
from kubelag.observe.path.places import split_place
from kubelag.observe.path.system_names import addresses_of

Serve = Callable[..., HostileServer]
Read = Callable[..., Kubeconfig]
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
ENDPOINTS = "/api/v1/namespaces/default/endpoints/kubernetes"
SLICE_LIST = {
    "kind": "EndpointSliceList",
    "apiVersion": "discovery.k8s.io/v1",
    "items": [
        {
            "endpoints": [{"addresses": ["192.0.2.1"]}, {"addresses": ["192.0.2.2", "192.0.2.1"]}],
            "ports": [{"name": "metrics", "port": 1}, {"name": "https", "port": 6443}],
        },
        {"endpoints": [{"addresses": ["2001:db8::1"]}], "ports": [{"port": 6444}]},
    ],
}
OLD = {
    "kind": "Endpoints",
    "apiVersion": "v1",
    "subsets": [{"addresses": [{"ip": "192.0.2.3"}], "ports": [{"name": "https", "port": 6443}]}],
}


@pytest.fixture
def search(tmp_path: Path, read_config: Read) -> Callable[..., Any]:
    """Looks for backends with a kubeconfig for one server."""

    def run(server: str, user: dict[str, Any] | None = None, **more: Any) -> Any:
        config = read_config(kubeconfig(tmp_path, server, user=user))
        return find_backends(Searched(kubeconfig=config, env={}, **{"port": 8443, **more}))

    return run


def test_what_is_given_wins_and_nobody_is_asked(serve: Serve, search: Callable[..., Any]) -> None:
    server = serve()
    found, why = search(server.url, given=("192.0.2.1:6443", "localhost:6443", "192.0.2.1:6443"))
    assert [(one.name, one.source) for one in found] == [
        ("192.0.2.1:6443", "--backend"),
        ("localhost:6443", "--backend"),
    ]
    assert found[0].address == "192.0.2.1:6443"
    assert found[1].address in {"127.0.0.1:6443", "[::1]:6443"}
    assert (why, server.targets) == ("given with --backend", [])


def test_the_cluster_lists_them(serve: Serve, search: Callable[..., Any]) -> None:
    server = serve(well_behaved({SLICES: lambda one: one.answer_json(SLICE_LIST)}))
    found, why = search(server.url)
    assert [one.address for one in found] == [
        "192.0.2.1:6443",
        "192.0.2.2:6443",
        "[2001:db8::1]:6444",
    ]
    assert {one.source for one in found} == {"endpoints"}
    assert why == "from the EndpointSlice kubernetes in the namespace default"


def test_the_cluster_is_asked_by_address_where_the_name_is_known_already(
    serve: Serve, search: Callable[..., Any]
) -> None:
    server = serve(well_behaved({SLICES: lambda one: one.answer_json(SLICE_LIST)}))
    url = f"http://api.invalid:{server.port}"
    assert search(url, port=server.port)[0] == ()
    found, why = search(url, port=server.port, hosts=("127.0.0.1",))
    assert (len(found), why) == (3, "from the EndpointSlice kubernetes in the namespace default")


def test_by_address_the_certificate_must_still_have_the_name(
    serve: Serve, tmp_path: Path, read_config: Read
) -> None:
    authority = Authority()
    answer = well_behaved({SLICES: lambda one: one.answer_json(SLICE_LIST)})
    for name, count in (("api.invalid", 3), ("127.0.0.1", 0)):
        server = serve(answer, tls=authority.server(name))
        url = f"https://api.invalid:{server.port}"
        config = read_config(kubeconfig(tmp_path, url, authority.pem))
        wanted = Searched(kubeconfig=config, env={}, port=server.port, hosts=("127.0.0.1",))
        assert len(find_backends(wanted)[0]) == count


def test_a_dead_address_of_several_hides_no_api_servers(
    serve: Serve, search: Callable[..., Any]
) -> None:
    server = serve(well_behaved({SLICES: lambda one: one.answer_json(SLICE_LIST)}))
    url = f"http://api.invalid:{server.port}"
    found, _ = search(url, port=server.port, hosts=("127.0.0.2", "127.0.0.1"))
    assert len(found) == 3


def test_an_old_cluster_has_endpoints(serve: Serve, search: Callable[..., Any]) -> None:
    server = serve(well_behaved({ENDPOINTS: lambda one: one.answer_json(OLD)}))
    found, why = search(server.url)
    assert [one.address for one in found] == ["192.0.2.3:6443"]
    assert "the Endpoints kubernetes" in why


def test_a_refusal_is_told(serve: Serve, search: Callable[..., Any]) -> None:
    found, why = search(serve(refuses(403, "Forbidden", "no list for you")).url)
    assert found == ()
    assert "no list for you" in why


def test_a_plugin_is_not_run_for_a_list(tmp_path: Path, search: Callable[..., Any]) -> None:
    ran = tmp_path / "ran"
    spec = {"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never"}
    user = {"exec": {**spec, "command": "touch", "args": [str(ran)]}}
    found, why = search("https://127.0.0.1:1", user)
    assert (found, ran.exists()) == ((), False)
    assert "plugin" in why


def test_a_configuration_stands_in_and_adds_its_names(
    serve: Serve, tmp_path: Path, search: Callable[..., Any]
) -> None:
    config = tmp_path / "haproxy.cfg"
    config.write_text(
        "listen kube\n bind :8443\n server m2 192.0.2.2:6443\n server m9 192.0.2.9:6443\n"
    )
    alone, why = search(serve(refuses(403, "Forbidden")).url, haproxy=config)
    assert [one.name for one in alone] == ["m2", "m9"]
    assert why == f"{config} has 2 servers behind port 8443"
    server = serve(well_behaved({SLICES: lambda one: one.answer_json(SLICE_LIST)}))
    both, why = search(server.url, haproxy=config)
    assert [one.name for one in both] == ["192.0.2.1:6443", "m2", "[2001:db8::1]:6444", "m9"]
    assert "EndpointSlice" in why


def test_a_configuration_that_cannot_be_read_is_told(
    serve: Serve, tmp_path: Path, search: Callable[..., Any]
) -> None:
    found, why = search(serve(refuses(403, "Forbidden")).url, haproxy=tmp_path / "none.cfg")
    assert found == ()
    assert "none.cfg cannot be read" in why


@pytest.mark.real
def test_a_stats_socket_lists_servers_with_their_state(
    haproxy: Callable[..., Any], serve: Serve, search: Callable[..., Any]
) -> None:
    balancer = haproxy({"m1": 6001, "m2": 6002})
    found, why = search(serve(refuses(403, "Forbidden")).url, haproxy=balancer.socket)
    assert [(one.name, one.address, one.state) for one in found] == [
        ("m1", "127.0.0.1:6001", "UP"),
        ("m2", "127.0.0.1:6002", "UP"),
    ]
    assert {one.source for one in found} == {"haproxy stats socket"}
    assert "its section apiservers" in why
    assert stats_socket_of(balancer.socket) == balancer.socket
    assert stats_socket_of(balancer.config) is None


def test_a_backend_without_a_port_is_refused() -> None:
    assert checked_backends(("192.0.2.1:6443", "[::1]:6443")) == ("192.0.2.1:6443", "[::1]:6443")
    with pytest.raises(UsageError, match="--backend: 'master1'"):
        checked_backends(("master1",))


def test_a_token_goes_to_the_server_and_nowhere_else(
    serve: Serve, tmp_path: Path, read_config: Read
) -> None:
    authority = Authority()
    server = serve(refuses(401, "Unauthorized", "bad token planted-token"), tls=authority.server())
    path = kubeconfig(tmp_path, server.url, authority.pem, {"token": "planted-token"})
    searched = Searched(kubeconfig=read_config(path), env={}, port=1)
    _, why = find_backends(searched)
    assert server.heads[0].header("authorization") == "Bearer planted-token"
    assert "token planted" not in repr(searched)
    assert why


def test_a_name_without_an_address_stays_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no such name")

    monkeypatch.setattr("socket.getaddrinfo", fail)
    config = Kubeconfig()
    found, _ = find_backends(Searched(kubeconfig=config, env={}, port=1, given=("m.invalid:1",)))
    assert [one.address for one in found] == ["m.invalid:1"]


def test_a_look_up_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: let_go.wait(20) and [])
    try:
        assert addresses_of(["m.invalid"], limit_s=0.05) == {}
    finally:
        let_go.set()


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.just("192.0.2.1"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["items", "subsets", "endpoints", "addresses", "ports", "ip", "port", "name", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["items", "subsets"]), JSONS))
def test_any_document_gives_addresses_or_none(document: dict[str, Any]) -> None:
    json.dumps(document)
    for kind in ("EndpointSliceList", "Endpoints"):
        for address in addresses_of_slices(document, kind):
            assert split_place(address)
