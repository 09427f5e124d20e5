"""Real kubectls sent another way: as cold, as warm, and with what was asked for."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from evidence import MS, cache, evidence, request
from kubelag.experiments.contract import Kind, Situation, Treatment, Variant
from kubelag.experiments.delay_response import DelayResponse
from kubelag.experiments.direct_backend import DirectBackend
from kubelag.experiments.discovery_stubbed import DiscoveryStubbed
from kubelag.experiments.dose import dose_response
from kubelag.experiments.scratch import Scratch
from kubelag.experiments.small_segments import SmallSegments
from kubelag.experiments.timing import argv_in_place, run_timed
from kubelag.experiments.workshop import Workshop
from kubelag.kube.cache import layout
from kubelag.kube.config.kubeconfig import load_kubeconfig
from kubelag.lab.control_plane.embedded import start_embedded
from kubelag.lab.control_plane.handle import ControlPlane
from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.model.path import AddressProbe, Backend, PathMap
from kubelag.observe.client import ask_version

pytestmark = pytest.mark.real

REQUEST = re.compile(r'(?:GET |url=")(https://[^\s"]+)')
FAILING, EMPTY = "metrics.example.com/v1", "empty.example.com/v1"
ANSWER_S = 30.0
DOSE_BLOCKS = 4


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A healthy server with the founding incident's 77 group-versions."""
    made = start_embedded(tmp_path_factory.mktemp("lab") / "server", ControlPlaneOptions())
    yield made
    made.stop()


@pytest.fixture(scope="module")
def troubled_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One with a group-version that fails and one that is empty."""
    options = ControlPlaneOptions(
        unavailable_group_versions=(FAILING,), empty_group_versions=(EMPTY,)
    )
    made = start_embedded(tmp_path_factory.mktemp("lab") / "server", options)
    yield made
    made.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One kubectl, one server, and what runs of it share."""

    situation: Situation
    scratch: Scratch

    def arms(self, kind: Kind) -> dict[str, Treatment]:
        return {one.label: one for one in kind.vary(self.situation)}

    def asked(self, variant: Variant) -> list[str]:
        """The paths that one run asks for, in order."""
        argv = argv_in_place(variant, self.scratch)
        done = subprocess.run(
            [*argv, "-v=6"], env=dict(variant.env), capture_output=True, text=True, check=True
        )
        assert "node1" in done.stdout
        return [url.split("/", 3)[3] for url in REQUEST.findall(done.stderr)]

    def takes_ns(self, variant: Variant) -> int:
        timed = run_timed(variant, self.scratch, lambda _elapsed_s: None)
        assert timed.exit_code == 0
        return timed.wall_ns


Open = Callable[..., Bench]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Makes benches, warm ones after a run that has filled the cache."""
    open_ones: list[Workshop | Scratch] = []

    def open_one(kubectl: Path, server: ControlPlane, *, warm: bool = False) -> Bench:
        root = tmp_path / ".kube/cache"
        root.mkdir(parents=True)
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        argv = (str(kubectl), f"--kubeconfig={server.kubeconfig()}", "get", "nodes")
        if warm:
            subprocess.run(argv, env=env, check=True, capture_output=True)
        found = cache(
            root=str(root),
            real_root=str(root),
            state="warm" if warm else "cold",
            host_directory=layout.host_directory(str(root), server.url),
        )
        observed = evidence(100 * MS, cold=False, cache=found, path=path_to(server))
        version = ask_version(str(kubectl), env, ANSWER_S)[0]
        observed = replace(observed, client=replace(observed.client, version=version))
        workshop, scratch = Workshop(), Scratch(found)
        open_ones.extend((workshop, scratch))
        scratch.snapshot(cold=False)
        situation = Situation(
            evidence=observed,
            unchanged=Variant(argv=argv, env=env),
            kubeconfig=load_kubeconfig(argv, env),
            workshop=workshop,
        )
        return Bench(situation=situation, scratch=scratch)

    yield open_one
    for one in open_ones:
        one.close()


def path_to(server: ControlPlane) -> PathMap:
    """As if a balancer stood on 127.0.0.1, and the server behind it had another address."""
    port = int(server.url.rpartition(":")[2])
    address = f"127.0.0.1:{port}"
    return PathMap(
        server=server.url,
        host="127.0.0.1",
        port=port,
        tls_name="127.0.0.1",
        is_literal=True,
        addresses=("127.0.0.1",),
        front=(AddressProbe(address=address, hop="front", at_ns=0, tls_ns=1),),
        backends=(Backend(name="a", address=f"localhost:{port}", source="--backend"),),
    )


@pytest.fixture(params=[False, True], ids=["cold", "warm"])
def warm(request: pytest.FixtureRequest) -> bool:
    """Whether the cache was filled before."""
    return bool(request.param)


def test_other_ways_are_as_cold_or_as_warm_as_the_command_itself(
    opened: Open, kubectl_path: Path, server: ControlPlane, warm: bool
) -> None:
    bench = opened(kubectl_path, server, warm=warm)
    usual = bench.asked(bench.situation.unchanged)
    assert len(usual) == 1 if warm else len(usual) > 70
    for kind in (DirectBackend(), SmallSegments()):
        (treatment,) = bench.arms(kind).values()
        assert treatment.variant.cache_server != server.url
        assert sorted(bench.asked(treatment.variant)) == sorted(usual)


def test_the_certificate_is_verified_by_its_old_name(
    opened: Open, kubectl_path: Path, server: ControlPlane
) -> None:
    bench = opened(kubectl_path, server)
    unchanged = bench.situation.unchanged
    argv = (*unchanged.argv, "--tls-server-name=elsewhere.example.com")
    other = replace(
        bench.situation,
        unchanged=unchanged.but(argv=argv),
        kubeconfig=load_kubeconfig(argv, unchanged.env),
    )
    (treatment,) = DirectBackend().vary(other)
    timed = run_timed(treatment.variant, bench.scratch, lambda _elapsed_s: None)
    assert timed.exit_code == 1, "the name was folded in and the certificate does not have it"


@pytest.fixture(params=["old_kubectl", "new_kubectl"])
def one_of_both(request: pytest.FixtureRequest) -> Path:
    """The oldest kubectl and the newest."""
    found: Path = request.getfixturevalue(request.param)
    return found


def test_doses_count_the_round_trips_of_a_real_command(
    opened: Open, one_of_both: Path, server: ControlPlane, warm: bool
) -> None:
    """Cold: connect, TLS, /api, /apis, all group-versions at once, the nodes. Warm: three."""
    bench = opened(one_of_both, server, warm=warm)
    run = bench.situation.evidence.run
    # As of a run of a second: with larger doses than the unevenness of a busy machine.
    run = replace(run, end_ns=run.start_ns + 1000 * MS)
    observed = replace(bench.situation.evidence, run=run)
    arms = DelayResponse().vary(replace(bench.situation, evidence=observed))
    doses_ns = [one.dose_ns or 0 for one in arms]
    assert doses_ns == [0, 50 * MS, 100 * MS]
    blocks = [[bench.takes_ns(one.variant) for one in arms] for _ in range(DOSE_BLOCKS)]
    response = dose_response("delay_response", doses_ns, blocks)
    assert response is not None
    assert response.slope == pytest.approx(3 if warm else 6, abs=1)


def test_an_old_client_is_spared_exactly_what_is_stubbed(
    opened: Open, old_kubectl: Path, troubled_server: ControlPlane, warm: bool
) -> None:
    bench = seen(opened(old_kubectl, troubled_server, warm=warm))
    usual = bench.asked(bench.situation.unchanged)
    (treatment,) = bench.arms(DiscoveryStubbed()).values()
    spared = bench.asked(treatment.variant)
    lists = {f"apis/{name}?timeout=32s" for name in (FAILING, EMPTY)}
    assert len([path for path in usual if path in lists]) == 6
    assert sorted(spared) == sorted(path for path in usual if path not in lists)


def test_a_newer_client_is_spared_the_whole_round_on_a_full_cache(
    opened: Open, new_kubectl: Path, troubled_server: ControlPlane, warm: bool
) -> None:
    bench = seen(opened(new_kubectl, troubled_server, warm=warm))
    arms = bench.arms(DiscoveryStubbed())
    assert list(arms) == ([""] if warm else ["stubbed", "full"])
    if not warm:
        filling = bench.situation.unchanged.but(cache="on_memory")
        bench.asked(filling)
        bench.scratch.keep_as_warmed()
    stubbed, *full = (one.variant for one in arms.values())
    assert [path.partition("?")[0] for path in bench.asked(stubbed)] == ["api/v1/nodes"]
    for variant in (*full, bench.situation.unchanged):
        assert len(bench.asked(variant)) > 70


def seen(bench: Bench) -> Bench:
    """With the failing group-version's requests as an observer would have seen them."""
    paths = bench.asked(bench.situation.unchanged)
    requests = tuple(
        replace(request(f"/{path}", 0, MS), status=503 if FAILING in path else 200)
        for path in paths
    )
    observed = replace(bench.situation.evidence, requests=requests)
    return replace(bench, situation=replace(bench.situation, evidence=observed))
