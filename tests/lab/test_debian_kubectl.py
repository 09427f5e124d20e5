"""Debian's kubectl, unpacked without installing it."""

import json
import shutil
from pathlib import Path

import pytest

from kubelag.errors import LabError
from kubelag.lab.debian_client import parse_offers, unpack_kubectl, upstream_version
from kubelag.observe.client import identify

MADISON = """\
kubernetes-client | 1.20.5+really1.20.2-1.1+deb12u1 | http://mirror.example bookworm/main amd64
kubernetes-client | 1.20.5+really1.20.2-1.1+deb12u1 | http://mirror.example bookworm/main i386
kubernetes-client | 1.18.2-3 | http://mirror.example old/main amd64
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty home into which kubectl 1.20.2 was unpacked once."""
    directory = tmp_path_factory.mktemp("home")
    if shutil.which("apt-get") is None:
        pytest.skip("no apt-get on this machine")
    try:
        unpack_kubectl("1.20.2", {"HOME": str(directory)})
    except LabError as error:
        pytest.skip(f"the package archive cannot be used: {error}")
    return directory


def test_what_follows_really_is_what_it_really_is() -> None:
    assert upstream_version("1.20.5+really1.20.2-1.1+deb12u1") == "1.20.2"
    assert upstream_version("2:1.30.14-1") == "1.30.14"
    assert upstream_version("snap") is None


def test_each_offer_is_listed_once_in_the_archives_order() -> None:
    assert [offer.upstream for offer in parse_offers(MADISON)] == ["1.20.2", "1.18.2"]
    assert parse_offers("") == ()


@pytest.mark.parametrize("version", ["1.20", "latest", "../../etc", "1.20.2; true"])
def test_what_is_no_version_is_refused(tmp_path: Path, version: str) -> None:
    with pytest.raises(LabError, match="not a version"):
        unpack_kubectl(version, {"HOME": str(tmp_path)})


def test_without_a_home_there_is_no_place_to_keep_it() -> None:
    with pytest.raises(LabError, match="no place to keep"):
        unpack_kubectl("1.20.2", {})


@pytest.mark.real
def test_it_runs_and_is_what_was_asked_for(home: Path) -> None:
    client = unpack_kubectl("1.20.2", {"HOME": str(home)})
    assert identify(str(client.path), {}).version == "1.20.2"
    assert client.path == home / ".cache/kubelag/clients/1.20.2/kubectl"
    manifest = json.loads(client.path.with_name("client.json").read_text())
    assert manifest["kubectl_sha256"] == client.sha256


@pytest.mark.real
def test_a_kept_one_is_used_without_asking_the_archive(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert unpack_kubectl("1.20.2", {"HOME": str(home)}).version == "1.20.2"


@pytest.mark.real
def test_a_damaged_one_is_fetched_again(home: Path) -> None:
    client = unpack_kubectl("1.20.2", {"HOME": str(home)})
    with client.path.open("ab") as stream:
        stream.write(b"damage")
    again = unpack_kubectl("1.20.2", {"HOME": str(home)})
    assert again.sha256 == client.sha256
    assert identify(str(again.path), {}).version == "1.20.2"


@pytest.mark.real
def test_a_version_that_the_archive_lacks_names_those_it_has(home: Path) -> None:
    with pytest.raises(
        LabError, match=r"no kubectl 1\.0\.7, only .*1\.20\.2.*give a kubectl by its path"
    ):
        unpack_kubectl("1.0.7", {"HOME": str(home)})
