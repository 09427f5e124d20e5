"""Another way to the same server: one context alone, flattened, and the certificate's old name."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from kubelag.errors import KubeconfigError
from kubelag.kube.config.kubeconfig import Kubeconfig, load_kubeconfig
from kubelag.kube.config.rerouted_kubeconfig import FOLDED_FLAGS, rerouted_kubeconfig

SERVER = "https://10.0.0.1:6443"


def written(path: Path, user: dict[str, Any], **cluster: Any) -> Path:
    path.write_text(
        json.dumps(
            {
                "clusters": [
                    {"name": "c", "cluster": {"server": "https://api.example.com:8443", **cluster}},
                    {"name": "other", "cluster": {"server": "https://elsewhere"}},
                ],
                "users": [{"name": "u", "user": user}, {"name": "o", "user": {"token": "others"}}],
                "contexts": [
                    {"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "n"}}
                ],
                "current-context": "x",
            }
        )
    )
    return path


def loaded(path: Path, *flags: str) -> Kubeconfig:
    return load_kubeconfig(("kubectl", f"--kubeconfig={path}", *flags, "get", "nodes"), {})


def rerouted(config: Kubeconfig, *, keep_proxy: bool = True) -> Any:
    return json.loads(rerouted_kubeconfig(config, server=SERVER, keep_proxy=keep_proxy).reveal())


def test_it_holds_one_context_with_another_server_and_the_certificates_name(tmp_path: Path) -> None:
    document = rerouted(loaded(written(tmp_path / "config", {"token": "t"})))
    (cluster,) = document["clusters"]
    assert cluster["cluster"] == {"server": SERVER, "tls-server-name": "api.example.com"}
    assert document["users"] == [{"name": "u", "user": {"token": "t"}}]
    (context,) = document["contexts"]
    assert context["name"] == document["current-context"] == "x", "plugins go by it"
    assert context["context"] == {"cluster": "c", "user": "u", "namespace": "n"}
    assert "others" not in json.dumps(document)


def test_a_name_that_the_certificate_must_have_already_stays(tmp_path: Path) -> None:
    config = written(tmp_path / "config", {}, **{"tls-server-name": "kubernetes"})
    (cluster,) = rerouted(loaded(config))["clusters"]
    assert cluster["cluster"]["tls-server-name"] == "kubernetes"
    (cluster,) = rerouted(loaded(config, "--server=https://10.0.0.9"))["clusters"]
    assert cluster["cluster"]["tls-server-name"] == "10.0.0.9", "kubectl drops it with --server"


def test_paths_lead_where_they_led(tmp_path: Path) -> None:
    user = {
        "client-certificate": "pki/me.crt",
        "client-key": "pki/me.key",
        "tokenFile": "token",
        "exec": {"apiVersion": "v1", "command": "./bin/login", "args": ["a"]},
    }
    config = written(tmp_path / "config", user, **{"certificate-authority": "pki/ca.crt"})
    document = rerouted(loaded(config))
    (cluster,), (told,) = document["clusters"], document["users"]
    assert cluster["cluster"]["certificate-authority"] == f"{tmp_path}/pki/ca.crt"
    assert told["user"]["client-certificate"] == f"{tmp_path}/pki/me.crt"
    assert told["user"]["client-key"] == f"{tmp_path}/pki/me.key"
    assert told["user"]["tokenFile"] == f"{tmp_path}/token"
    assert os.path.normpath(told["user"]["exec"]["command"]) == f"{tmp_path}/bin/login"
    assert told["user"]["exec"]["args"] == ["a"]


def test_a_plugin_without_a_slash_is_still_found_on_the_path(tmp_path: Path) -> None:
    user = {"exec": {"apiVersion": "v1", "command": "login"}}
    (told,) = rerouted(loaded(written(tmp_path / "config", user)))["users"]
    assert told["user"]["exec"]["command"] == "login"


@pytest.mark.parametrize("keep_proxy", [True, False])
def test_the_proxy_stays_or_goes_as_it_is_asked(tmp_path: Path, keep_proxy: bool) -> None:
    config = written(tmp_path / "config", {}, **{"proxy-url": "http://proxy:3128"})
    (cluster,) = rerouted(loaded(config), keep_proxy=keep_proxy)["clusters"]
    assert ("proxy-url" in cluster["cluster"]) == keep_proxy


def test_flags_that_choose_are_folded_in(tmp_path: Path) -> None:
    config = written(tmp_path / "config", {"token": "t"})
    document = rerouted(loaded(config, "--cluster=other", "--user=o"))
    assert document["users"] == [{"name": "o", "user": {"token": "others"}}]
    assert document["clusters"][0]["cluster"]["tls-server-name"] == "elsewhere"
    assert {"cluster", "user", "context", "server", "kubeconfig"} < set(FOLDED_FLAGS)


def test_what_it_says_is_what_it_said_but_for_the_way(tmp_path: Path) -> None:
    before = loaded(written(tmp_path / "config", {"token": "t", "as": "root"}))
    copy = tmp_path / "copy"
    copy.write_bytes(rerouted_kubeconfig(before, server=SERVER, keep_proxy=True).reveal())
    after = load_kubeconfig(("kubectl", "get"), {"KUBECONFIG": str(copy)})
    assert after.cluster.server == SERVER
    assert (after.user.token.reveal(), after.user.as_user) == ("t", "root")
    assert after.namespace == before.namespace


def test_a_file_that_has_gone_meanwhile_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "config", {"token": "t"})
    config = loaded(path)
    path.unlink()
    with pytest.raises(KubeconfigError, match="config is gone meanwhile"):
        rerouted(config)


def test_it_is_shown_to_nobody(tmp_path: Path) -> None:
    config = loaded(written(tmp_path / "config", {"token": "planted"}))
    assert "planted" not in repr(rerouted_kubeconfig(config, server=SERVER, keep_proxy=True))
