"""Cache files of other programs: what reads them finds everything and asks nothing.

The file for kubernetes.core is read with the official client's own reader, from which that
collection's is derived (the same format; its lists of objects have `base_resource_lookup`, which
the official ones take too); the collection itself is not installed here. Its rule for the file's
name is checked against the rule as its source states it.
"""

import hashlib
import json
import os
import stat
import tempfile
from pathlib import Path
from typing import Any

import kubernetes
import pytest
from kubernetes import config
from kubernetes.dynamic import DynamicClient

from counted_server import Counted
from kubelag.errors import RefusedError
from kubelag.kube import Client
from kubelag.kube.adapters import seeds
from kubelag.kube.adapters.seeds import Seed, seed_ansible, seed_official


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary directory as /tmp is: everybody's, sticky."""
    place = tmp_path / "tmp"
    place.mkdir()
    place.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def dynamic(server: Counted, cache_file: str | None = None) -> Any:
    """The official client with its own discoverer."""
    api = config.new_client_from_config(str(server.kubeconfig))  # type: ignore[no-untyped-call]
    return DynamicClient(api, cache_file=cache_file)  # type: ignore[no-untyped-call]


def close(client: Any) -> None:
    """Ends its connections."""
    client.client.rest_client.pool_manager.clear()


def test_the_official_client_finds_everything_and_asks_nothing(
    warm: Client, server: Counted, temporary: Path
) -> None:
    seed = seed_official(warm)
    assert server.take() == ["/version"]
    client = dynamic(server)
    found = client.resources.search()
    named = {(one.group or "", one.api_version, one.name) for one in found if one.kind != "List"}
    offered = warm.discovery.resources()
    assert {(one.group, one.version, one.name) for one in offered} == named
    assert client.version["kubernetes"]["gitVersion"] == "v1.33.1"
    assert client.resources.get(api_version="v1", kind="PodList").base_resource().name == "pods"
    assert server.take() == []
    assert seed == Seed(path=seed.path, resources=len(offered))
    assert Path(seed.path).parent == temporary
    close(client)


def test_the_ansible_file_is_read_and_asks_nothing(
    warm: Client, server: Counted, temporary: Path
) -> None:
    seed = seed_ansible(warm, user="deploy")
    server.take()
    client = dynamic(server, seed.path)
    pods = client.resources.get(api_version="v1", kind="PodList")
    assert pods.base_resource_lookup == {
        "prefix": "api",
        "group": "",
        "api_version": "v1",
        "kind": "Pod",
        "name": "pods",
    }
    assert pods.base_resource().namespaced
    assert client.resources.get(kind="Node").name == "nodes"
    assert server.take() == []
    digest = hashlib.sha256(f"{server.url}-deploy".encode()).hexdigest()
    assert seed.path == f"{temporary}/k8srcp-{digest}.json"
    close(client)


@pytest.mark.parametrize(
    ("login", "uid", "env", "expected"),
    [
        ("ada", 1000, {}, "ada"),
        ("", 1000, {}, "1000"),
        (None, 1000, {"USERNAME": "ada"}, "1000"),
        (None, 0, {"USERNAME": "ada"}, "ada"),
        (None, 0, {}, ""),
    ],
)
def test_the_ansible_user_is_found_as_kubernetes_core_finds_it(
    login: str | None,
    uid: int,
    env: dict[str, str],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def getlogin() -> str:
        if login is None:
            raise OSError
        return login

    monkeypatch.setattr(os, "getlogin", getlogin)
    monkeypatch.setattr(os, "getuid", lambda: uid)
    assert seeds._ansible_user(env) == expected


def test_without_any_user_the_name_is_of_the_server_alone(
    warm: Client, server: Counted, temporary: Path
) -> None:
    digest = hashlib.sha256(server.url.encode()).hexdigest()
    assert seed_ansible(warm, user="").path == f"{temporary}/k8srcp-{digest}.json"


def test_a_file_for_another_version_of_the_client_says_so(warm: Client, tmp_path: Path) -> None:
    seed = seed_official(warm, str(tmp_path / "seed.json"), library_version="36.0.0")
    assert json.loads(Path(seed.path).read_text())["library_version"] == "36.0.0"
    seed_official(warm, seed.path)
    found = json.loads(Path(seed.path).read_text())
    assert found["library_version"] == kubernetes.__version__
    assert "empty.example.com" not in found["resources"]["apis"]


def test_it_is_written_whole_and_for_its_owner_alone(warm: Client, tmp_path: Path) -> None:
    path = tmp_path / "seed.json"
    path.write_text("old")
    path.chmod(0o666)
    before = path.stat().st_ino
    seed_official(warm, str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_ino != before
    assert [one.name for one in tmp_path.glob("seed.json*")] == ["seed.json"]


@pytest.mark.parametrize("kind", ["link", "directory"])
def test_in_a_directory_of_everybodys_only_our_own_file_is_replaced(
    kind: str, warm: Client, temporary: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    place = temporary / "seed.json"
    if kind == "link":
        place.symlink_to(victim)
    else:
        place.mkdir()
    with pytest.raises(RefusedError, match="no file of user"):
        seed_official(warm, str(place))
    assert victim.read_text() == "mine"
    assert list(temporary.iterdir()) == [place]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make somebody else's file")
def test_somebody_elses_file_or_directory_is_refused(
    warm: Client, temporary: Path, tmp_path: Path
) -> None:
    theirs = temporary / "seed.json"
    theirs.write_text("{}")
    os.chown(theirs, 65534, 65534)
    with pytest.raises(RefusedError, match="no file of user"):
        seed_official(warm, str(theirs))
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)
    with pytest.raises(RefusedError, match="user 65534"):
        seed_official(warm, str(home / "seed.json"))
    assert theirs.read_text() == "{}"


def test_a_directory_in_which_others_could_replace_it_is_refused(
    warm: Client, tmp_path: Path
) -> None:
    place = tmp_path / "open"
    place.mkdir()
    place.chmod(0o777)
    with pytest.raises(RefusedError, match="others may write"):
        seed_official(warm, str(place / "seed.json"))


def test_a_place_that_is_not_there_is_named(warm: Client, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        seed_official(warm, str(tmp_path / "nowhere" / "seed.json"))
