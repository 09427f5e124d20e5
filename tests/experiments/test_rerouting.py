"""A copy of a kubeconfig changes the one address, or it is not made."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evidence import evidence
from kubelag.experiments.bypass_proxy import BypassProxy
from kubelag.experiments.bypass_vip import BypassVip
from kubelag.experiments.contract import NotApplicableError, Situation, Treatment, Variant
from kubelag.experiments.direct_backend import DirectBackend
from kubelag.experiments.rerouting import in_a_copy, rerouted
from kubelag.experiments.scratch import Scratch
from kubelag.experiments.trial import TrialRunner
from kubelag.experiments.workshop import Workshop
from kubelag.kube.config.kubeconfig import load_kubeconfig
from kubelag.launch import seccomp
from kubelag.model.evidence import CacheDirectory
from kubelag.model.path import Backend, PathMap
from pretended_trial import Listener

HOST = "api.example.com"
OTHER = "10.0.1.1:6443"
PASSWORD = "proxys-own"


def path_map(server: str = f"https://{HOST}:8443", **changes: Any) -> PathMap:
    base = PathMap(server=server, host=HOST, port=8443, tls_name=HOST, is_literal=False)
    return replace(base, **changes)


class Scene:
    """A kubeconfig, flags and an environment."""

    def __init__(self, directory: Path, workshop: Workshop) -> None:
        self.workshop = workshop
        self.cluster: dict[str, Any] = {"server": f"https://{HOST}:8443"}
        self.user: dict[str, Any] = {"token": "planted"}
        self.env: dict[str, str] = {"PATH": "/bin"}
        self._directory = directory

    def situation(
        self,
        *flags: str,
        path: PathMap | None = None,
        cache: CacheDirectory | None = None,
        is_own: bool = False,
    ) -> Situation:
        config = self._directory / "config"
        document = {
            "clusters": [{"name": "c", "cluster": self.cluster}],
            "users": [{"name": "u", "user": self.user}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        config.write_text(json.dumps(document))
        argv = ("kubectl", f"--kubeconfig={config}", *flags, "get", "nodes")
        return Situation(
            evidence=evidence(path=path or path_map(), cache=cache),
            unchanged=Variant(argv=argv, env=self.env, cache="own" if is_own else "as_observed"),
            kubeconfig=load_kubeconfig(argv, self.env),
            workshop=self.workshop,
        )


@pytest.fixture
def scene(tmp_path: Path) -> Any:
    with Workshop() as workshop:
        yield Scene(tmp_path, workshop)


def copy_of(variant: Variant) -> Any:
    return json.loads(Path(variant.env["KUBECONFIG"]).read_bytes())


def proxied(**changes: Any) -> PathMap:
    return path_map(proxy="proxy:3128", proxy_source="HTTPS_PROXY", **changes)


def test_an_address_that_is_spared_the_proxy_would_change_two_things(scene: Scene) -> None:
    scene.env |= {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "10.0.0.0/8,localhost"}
    with pytest.raises(NotApplicableError, match=r"NO_PROXY spares 10\.0\.1\.1"):
        rerouted(scene.situation(path=proxied()), OTHER)
    elsewhere = rerouted(scene.situation(path=proxied()), "192.0.2.1:6443")
    assert elsewhere.env["NO_PROXY"] == "10.0.0.0/8,localhost", "there the proxy stays"


def test_a_kubeconfigs_proxy_spares_nobody(scene: Scene) -> None:
    scene.cluster["proxy-url"] = "http://proxy:3128"
    scene.env["NO_PROXY"] = "10.0.0.0/8"
    variant = rerouted(scene.situation(path=proxied()), OTHER)
    assert copy_of(variant)["clusters"][0]["cluster"]["proxy-url"] == "http://proxy:3128"


def test_what_a_proxy_wants_to_know_is_only_in_the_copy(scene: Scene) -> None:
    scene.cluster["proxy-url"] = f"http://me:{PASSWORD}@proxy:3128"
    path = path_map(proxy="proxy:3128", proxy_source="proxy-url")
    (arm,) = BypassProxy().vary(scene.situation(path=path))
    kept = rerouted(scene.situation(path=path), OTHER)
    for variant in (arm.variant, kept, in_a_copy(scene.situation(path=path))):
        told = (*variant.argv, variant.shown, repr(variant), *variant.env.values())
        assert PASSWORD not in " ".join(told)
    assert PASSWORD in json.dumps(copy_of(kept))
    assert PASSWORD not in json.dumps(copy_of(arm.variant))


def test_a_proxy_that_cannot_be_understood_is_not_named_with_its_password(scene: Scene) -> None:
    scene.env["HTTPS_PROXY"] = f"https://me:{PASSWORD}@proxy:3128"
    with pytest.raises(NotApplicableError) as raised:
        rerouted(scene.situation(path=proxied()), OTHER)
    assert PASSWORD not in str(raised.value)


def test_who_is_named_in_the_servers_url_is_not_told_and_not_spared(scene: Scene) -> None:
    scene.cluster["server"] = f"https://me:{PASSWORD}@{HOST}:8443"
    for variant in (rerouted(scene.situation(), OTHER), in_a_copy(scene.situation())):
        assert PASSWORD not in variant.shown
        assert PASSWORD not in variant.env["NO_PROXY"]
    assert in_a_copy(scene.situation()).env["NO_PROXY"] == HOST


def test_a_copy_of_what_renews_itself_would_lose_it(scene: Scene) -> None:
    scene.user = {"auth-provider": {"name": "oidc", "config": {"refresh-token": "once"}}}
    with pytest.raises(NotApplicableError, match="would be lost"):
        rerouted(scene.situation(), OTHER)


@pytest.mark.parametrize("known", [f"{HOST}_8443", "10.0.1.1_6443"])
def test_a_cache_that_cannot_be_written_must_know_neither_server(
    scene: Scene, tmp_path: Path, known: str
) -> None:
    root = tmp_path / "cache"
    cache = CacheDirectory(root=str(root), state="unwritable", rule="--cache-dir")
    assert rerouted(scene.situation(cache=cache, is_own=True), OTHER), "empty for both"
    (root / "discovery" / known).mkdir(parents=True)
    assert rerouted(scene.situation(cache=cache), OTHER), "a private one is made alike for both"
    with pytest.raises(NotApplicableError, match="depends on the server"):
        rerouted(scene.situation(cache=cache, is_own=True), OTHER)
    assert in_a_copy(scene.situation(cache=cache, is_own=True)), "this is the same server"


def test_the_same_server_in_a_copy_is_the_same_command(scene: Scene) -> None:
    scene.cluster["server"] += "/k8s/clusters/c-1"
    scene.cluster["insecure-skip-tls-verify"] = True
    variant = in_a_copy(scene.situation("--context=x"))
    (cluster,) = copy_of(variant)["clusters"]
    assert cluster["cluster"] == {**scene.cluster, "tls-server-name": HOST}
    assert variant.argv == ("kubectl", "get", "nodes")
    assert variant.cache_server == scene.cluster["server"]


def test_an_ipv6_address_is_spared_and_verified_without_its_brackets(scene: Scene) -> None:
    scene.cluster["server"] = "https://[::1]:6443"
    variant = rerouted(scene.situation(), "[2001:db8::1]:6443")
    (cluster,) = copy_of(variant)["clusters"]
    assert cluster["cluster"] == {
        "server": "https://[2001:db8::1]:6443",
        "tls-server-name": "::1",
    }
    assert variant.env["NO_PROXY"] == "2001:db8::1"


@pytest.mark.parametrize("flag", ["--server=https://10.0.0.9:6443", "-s=https://10.0.0.9:6443"])
def test_a_server_that_a_flag_names_is_the_one_that_is_left(scene: Scene, flag: str) -> None:
    variant = rerouted(scene.situation(flag, "--token=flags"), OTHER)
    (cluster,) = copy_of(variant)["clusters"]
    assert cluster["cluster"] == {"server": f"https://{OTHER}", "tls-server-name": "10.0.0.9"}
    assert variant.argv == ("kubectl", "--token=flags", "get", "nodes")


def test_whoever_only_may_be_a_balancer_gets_no_credential_unverified(scene: Scene) -> None:
    scene.cluster["insecure-skip-tls-verify"] = True
    backend = Backend(name="a", address="127.0.0.2:6443", source="endpoints")
    with pytest.raises(NotApplicableError, match="would get the credential"):
        BypassVip().vary(scene.situation(path=path_map(backends=(backend,))))
    scene.cluster["insecure-skip-tls-verify"] = False
    flagged = scene.situation("--insecure-skip-tls-verify", path=path_map(backends=(backend,)))
    with pytest.raises(NotApplicableError, match="would get the credential"):
        BypassVip().vary(flagged)
    with pytest.raises(NotApplicableError, match="would get the credential"):
        DirectBackend().vary(flagged)
    named = path_map(backends=(replace(backend, source="--backend"),))
    assert DirectBackend().vary(scene.situation("--insecure-skip-tls-verify", path=named))
    proxied = path_map(backends=(backend,), proxy="proxy:3128", proxy_source="HTTPS_PROXY")
    with pytest.raises(NotApplicableError, match="would get the credential"):
        BypassProxy().vary(scene.situation("--insecure-skip-tls-verify", path=proxied))


class Straight:
    """An arm with the server's address, or one with everything as it is."""

    id = title = "straight"

    def __init__(self, address: str) -> None:
        self._address = address

    def vary(self, situation: Situation) -> tuple[Treatment, ...]:
        if not self._address:
            return (Treatment(variant=situation.unchanged),)
        return (Treatment(variant=rerouted(situation, self._address)),)


@pytest.mark.parametrize("address", ["", OTHER])
def test_the_placebo_wears_a_copy_where_arms_do(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setattr(seccomp, "probe", lambda: None)
    situation = scene.situation()
    with Scratch(None) as scratch:
        runner = TrialRunner(situation, [Straight(address)], scratch, Listener(), budget_s=1.0)
        placebo = runner.variant("placebo")
    assert placebo.child != situation.unchanged.child
    assert ("KUBECONFIG" in placebo.env) == bool(address)
    if address:
        (cluster,) = copy_of(placebo)["clusters"]
        assert cluster["cluster"]["server"] == scene.cluster["server"]
