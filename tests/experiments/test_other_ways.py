"""Each other way to the server: which arms it has, and what about the command changes."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from evidence import MS, S, evidence
from kubelag.experiments.address_literal import AddressLiteral
from kubelag.experiments.bypass_proxy import BypassProxy
from kubelag.experiments.bypass_vip import BypassVip
from kubelag.experiments.catalogue import EXPERIMENTS
from kubelag.experiments.contract import (
    Kind,
    NotApplicableError,
    Situation,
    Treatment,
    Variant,
)
from kubelag.experiments.delay_response import DelayResponse
from kubelag.experiments.direct_backend import DirectBackend
from kubelag.experiments.http1_only import Http1Only
from kubelag.experiments.ipv4_only import Ipv4Only
from kubelag.experiments.ipv6_only import Ipv6Only
from kubelag.experiments.small_segments import SmallSegments
from kubelag.experiments.workshop import RelayPlan, Workshop
from kubelag.kube.config.kubeconfig import load_kubeconfig
from kubelag.model.network import Connection
from kubelag.model.path import AddressProbe, Backend, PathMap
from kubelag.timeline.factors import CONNECT, DNS

HOST, PORT = "api.example.com", 8443
V4, V4_TOO, V6 = "10.0.0.10", "10.0.0.11", "2001:db8::1"


class PretendedWorkshop(Workshop):
    """Starts no relay and tells what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.plans: list[RelayPlan] = []

    def relay(self, plan: RelayPlan) -> int:
        self.plans.append(plan)
        return 40_000 + len(self.plans)


@pytest.fixture
def workshop() -> Iterator[PretendedWorkshop]:
    with PretendedWorkshop() as made:
        yield made


def joined(host: str, port: int = PORT) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def front(host: str, **stages: Any) -> AddressProbe:
    return AddressProbe(address=joined(host), hop="front", at_ns=0, **(stages or {"tls_ns": MS}))


def path_map(**changes: Any) -> PathMap:
    base = PathMap(
        server=f"https://{HOST}:{PORT}",
        host=HOST,
        port=PORT,
        tls_name=HOST,
        is_literal=False,
        addresses=(V6, V4, V4_TOO),
        front=(front(V6), front(V4), front(V4_TOO, error="timed out")),
    )
    return replace(base, **changes)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config"
    cluster = {"server": f"https://{HOST}:{PORT}/k8s", "proxy-url": "http://proxy:3128"}
    path.write_text(
        json.dumps(
            {
                "clusters": [{"name": "c", "cluster": cluster}],
                "users": [{"name": "u", "user": {"token": "planted"}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    return path


class Scene:
    """A command and the way to its server."""

    def __init__(self, config: Path, workshop: Workshop) -> None:
        self.argv = ("kubectl", f"--kubeconfig={config}", "--context", "x", "get", "nodes")
        self.env = {"PATH": "/bin", "HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "a"}
        self.workshop = workshop

    def situation(self, path: PathMap | None, **observed: Any) -> Situation:
        return Situation(
            evidence=evidence(path=path, **observed),
            unchanged=Variant(argv=self.argv, env=self.env),
            kubeconfig=load_kubeconfig(self.argv, self.env),
            workshop=self.workshop,
        )

    def arms(self, kind: Kind, path: PathMap | None, **observed: Any) -> dict[str, Treatment]:
        return {one.label: one for one in kind.vary(self.situation(path, **observed))}


@pytest.fixture
def scene(config: Path, workshop: PretendedWorkshop) -> Scene:
    return Scene(config, workshop)


def copy_of(variant: Variant) -> Any:
    return json.loads(Path(variant.env["KUBECONFIG"]).read_bytes())


BACKENDS = tuple(
    Backend(name=f"master{number}", address=f"10.0.1.{number}:6443", source="--backend")
    for number in (1, 2, 3)
)


def test_each_backend_is_an_arm_with_its_address_and_the_certificates_name(scene: Scene) -> None:
    arms = scene.arms(DirectBackend(), path_map(backends=BACKENDS))
    assert list(arms) == ["master1", "master2", "master3"]
    variant = arms["master2"].variant
    (cluster,) = copy_of(variant)["clusters"]
    assert cluster["cluster"]["server"] == "https://10.0.1.2:6443/k8s"
    assert cluster["cluster"]["tls-server-name"] == HOST
    assert variant.cache_server == "https://10.0.1.2:6443/k8s"
    assert variant.argv == ("kubectl", "get", "nodes")


def test_nothing_that_is_shown_or_passed_has_a_credential(scene: Scene) -> None:
    variant = scene.arms(DirectBackend(), path_map(backends=BACKENDS))["master1"].variant
    assert "planted" not in repr(variant)
    assert "planted" not in " ".join((*variant.argv, *variant.env.values()))
    told = "kubectl --server=https://10.0.1.1:6443/k8s --tls-server-name=api.example.com get nodes"
    assert variant.shown == told


def test_no_proxy_comes_in_that_was_not_there_and_a_plugin_keeps_its_own(scene: Scene) -> None:
    env = scene.arms(DirectBackend(), path_map(backends=BACKENDS))["master1"].variant.env
    assert env["NO_PROXY"] == env["no_proxy"] == "a,10.0.1.1"
    assert env["HTTPS_PROXY"] == "http://proxy:3128"


def test_a_proxy_in_the_way_stays_where_only_the_balancer_is_passed_by(scene: Scene) -> None:
    path = path_map(backends=BACKENDS, proxy="proxy:3128", proxy_source="HTTPS_PROXY")
    variant = scene.arms(DirectBackend(), path)["master1"].variant
    assert variant.env["NO_PROXY"] == "a"
    assert "proxy-url" in copy_of(variant)["clusters"][0]["cluster"]


def test_without_known_backends_it_says_why(scene: Scene) -> None:
    with pytest.raises(NotApplicableError, match="no HAProxy here"):
        scene.arms(DirectBackend(), path_map(backends_why="no HAProxy here"))


def test_a_variables_proxy_is_passed_by_without_another_kubeconfig(scene: Scene) -> None:
    path = path_map(proxy="proxy:3128", proxy_source="HTTPS_PROXY")
    variant = scene.arms(BypassProxy(), path)[""].variant
    assert variant.env["NO_PROXY"] == f"a,{HOST}"
    assert variant.argv == scene.argv
    assert "KUBECONFIG" not in variant.env


def test_a_kubeconfigs_proxy_is_left_out_and_no_other_comes_in(scene: Scene) -> None:
    path = path_map(proxy="proxy:3128", proxy_source="proxy-url")
    variant = scene.arms(BypassProxy(), path)[""].variant
    (cluster,) = copy_of(variant)["clusters"]
    assert "proxy-url" not in cluster["cluster"]
    assert cluster["cluster"]["server"] == f"https://{HOST}:{PORT}/k8s"
    assert variant.env["NO_PROXY"] == f"a,{HOST}"


def test_without_a_proxy_there_is_none_to_pass_by(scene: Scene) -> None:
    with pytest.raises(NotApplicableError, match="no proxy"):
        scene.arms(BypassProxy(), path_map())


def test_each_address_that_answered_is_an_arm_in_the_order_of_dialling(scene: Scene) -> None:
    arms = scene.arms(AddressLiteral(), path_map())
    assert list(arms) == [V6, V4]
    assert arms[V6].variant.cache_server == f"https://[{V6}]:{PORT}/k8s"
    with_ports = path_map(addresses=tuple(map(joined, (V6, V4, V4_TOO))))
    assert list(scene.arms(AddressLiteral(), with_ports)) == [V6, V4]


def test_an_address_needs_no_other(scene: Scene) -> None:
    with pytest.raises(NotApplicableError, match="no name is looked up"):
        scene.arms(AddressLiteral(), path_map(is_literal=True))
    with pytest.raises(NotApplicableError, match="has answered"):
        scene.arms(AddressLiteral(), path_map(front=()))


def test_one_family_is_its_first_address_that_answered(scene: Scene) -> None:
    four = scene.arms(Ipv4Only(), path_map())[""].variant
    six = scene.arms(Ipv6Only(), path_map())[""].variant
    assert four.cache_server == f"https://{V4}:{PORT}/k8s"
    assert six.cache_server == f"https://[{V6}]:{PORT}/k8s"


@pytest.mark.parametrize("kind", [Ipv4Only(), Ipv6Only()])
def test_a_name_with_one_family_has_no_other(scene: Scene, kind: Kind) -> None:
    with pytest.raises(NotApplicableError, match="both families"):
        scene.arms(kind, path_map(addresses=(V4, V4_TOO)))


def test_a_family_of_which_nobody_answered_is_no_way(scene: Scene) -> None:
    with pytest.raises(NotApplicableError, match="no IPv6 address"):
        scene.arms(Ipv6Only(), path_map(front=(front(V4),)))


def test_http2_is_switched_off_where_it_was_seen(scene: Scene) -> None:
    scene.env["GODEBUG"] = "netdns=go"
    spoken = Connection(
        client="a", server="b", seen_by="capture", first_ns=0, last_ns=1, protocol="h2"
    )
    variant = scene.arms(Http1Only(), None, connections=(spoken,))[""].variant
    assert variant.env["DISABLE_HTTP2"] == "1"
    assert variant.env["GODEBUG"] == "netdns=go,http2client=0"
    probed = path_map(front=(front(V4, protocol="h2"),))
    assert scene.arms(Http1Only(), probed)[""].variant.env["DISABLE_HTTP2"] == "1"


def test_what_speaks_http1_already_cannot_be_made_to(scene: Scene) -> None:
    with pytest.raises(NotApplicableError, match=r"http/1\.1"):
        scene.arms(Http1Only(), path_map(front=(front(V4, protocol="http/1.1"),)))


def test_segments_are_as_small_as_those_that_came_through(
    scene: Scene, workshop: PretendedWorkshop
) -> None:
    small = front(V4_TOO, tls_ns=MS, segment_limit_bytes=900)
    variant = scene.arms(SmallSegments(), path_map(small_front=(small,)))[""].variant
    assert workshop.plans == [RelayPlan(target=joined(V4_TOO), segment_bytes=900)]
    assert variant.cache_server == "https://127.0.0.1:40001/k8s"
    assert "proxy-url" not in copy_of(variant)["clusters"][0]["cluster"]
    scene.arms(SmallSegments(), path_map())
    assert workshop.plans[-1] == RelayPlan(target=joined(V6), segment_bytes=1200)


@pytest.mark.parametrize(
    ("wall_ns", "labels"),
    [
        (10 * S, ["0ms", "100ms", "200ms"]),
        (1 * S, ["0ms", "50ms", "100ms"]),
        (20 * MS, ["0ms", "5ms", "10ms"]),
    ],
)
def test_doses_follow_from_the_length_of_the_run(
    scene: Scene, workshop: PretendedWorkshop, wall_ns: int, labels: list[str]
) -> None:
    arms = scene.arms(DelayResponse(), path_map(), wall_ns=wall_ns)
    assert list(arms) == labels
    assert [f"{(one.dose_ns or 0) // MS}ms" for one in arms.values()] == labels
    assert [one.against for one in arms.values()] == ["", "0ms", "0ms"]
    assert [f"{plan.delay_s * 1e3:.0f}ms" for plan in workshop.plans] == labels


@pytest.mark.parametrize("kind", [SmallSegments(), DelayResponse(), AddressLiteral(), BypassVip()])
def test_behind_a_proxy_there_is_no_other_way(scene: Scene, kind: Kind) -> None:
    with pytest.raises(NotApplicableError, match="proxy:3128 is in the way"):
        scene.arms(kind, path_map(proxy="proxy:3128", backends=BACKENDS))


WAYS = tuple(
    kind
    for kind in EXPERIMENTS
    if kind.id.startswith(("direct_", "bypass_", "address_", "ipv", "small_", "delay_"))
)


@pytest.mark.parametrize("kind", WAYS, ids=lambda kind: kind.id)
def test_where_nobody_looked_at_the_way_none_is_changed(scene: Scene, kind: Kind) -> None:
    with pytest.raises(NotApplicableError, match="was not looked at"):
        scene.arms(kind, None)


def test_without_a_kubeconfig_there_is_nothing_to_copy(scene: Scene) -> None:
    bare = replace(scene.situation(path_map(backends=BACKENDS)), kubeconfig=None)
    for kind in (DirectBackend(), DelayResponse(), AddressLiteral()):
        with pytest.raises(NotApplicableError, match="no kubeconfig"):
            kind.vary(bare)


@pytest.fixture
def balancer() -> Iterator[int]:
    """A TLS server on 127.0.0.2, where nothing else is; gives its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(HOST).configure_cert(context)
    with socket.create_server(("127.0.0.2", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    with suppress(OSError), context.wrap_socket(client, server_side=True) as spoken:
                        spoken.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def test_a_backends_host_is_a_balancer_where_it_speaks_tls_on_the_fronts_port(
    scene: Scene, balancer: int
) -> None:
    backends = tuple(
        Backend(name=host, address=f"{host}:{port}", source="endpoints")
        for host, port in (
            ("127.0.0.2", 6443),
            ("127.0.0.2", 6444),
            ("127.0.0.3", 6443),
            ("127.0.0.4", balancer),
        )
    )
    path = path_map(backends=backends, port=balancer, addresses=("127.0.0.9",))
    arms = scene.arms(BypassVip(), path)
    assert list(arms) == ["127.0.0.2"]
    assert arms["127.0.0.2"].variant.cache_server == f"https://127.0.0.2:{balancer}/k8s"
    with pytest.raises(NotApplicableError, match="no backend's host accepts TLS"):
        scene.arms(BypassVip(), replace(path, backends=backends[2:]))


@pytest.mark.parametrize(
    "kind",
    [DirectBackend(), AddressLiteral(), Ipv4Only(), SmallSegments()],
    ids=lambda kind: kind.id,
)
def test_an_address_in_place_of_a_name_takes_more_away_and_says_so(
    scene: Scene, kind: Kind
) -> None:
    for treatment in scene.arms(kind, path_map(backends=BACKENDS)).values():
        assert treatment.removes == (DNS, CONNECT)


def test_a_proxys_name_goes_with_it_and_stays_where_it_stays(scene: Scene) -> None:
    path = path_map(proxy="proxy:3128", proxy_source="HTTPS_PROXY", backends=BACKENDS)
    assert scene.arms(BypassProxy(), path)[""].removes == (DNS, CONNECT)
    assert scene.arms(DirectBackend(), path)["master1"].removes == ()
