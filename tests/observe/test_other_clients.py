"""Finding the kubectl binaries of a machine, and telling real ones from wrappers."""

import json
import os
import shutil
from pathlib import Path

import pytest

from kubelag.observe import other_clients
from kubelag.observe.other_clients import OtherClient, clients_directory, find_kubectls, newest


def write_program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def script(path: Path, version: str) -> Path:
    """A stand-in that answers `version --client` as kubectl does."""
    answer = json.dumps({"clientVersion": {"gitVersion": version}})
    return write_program(path, f"#!/bin/sh\necho '{answer}'\n")


def find(*directories: Path, **env: str) -> tuple[OtherClient, ...]:
    return find_kubectls({"PATH": ":".join(map(str, directories)), **env})


def client(version: str | None, *, is_wrapper: bool = False) -> OtherClient:
    return OtherClient(path=f"/bin/kubectl-{version}", version=version, is_wrapper=is_wrapper)


def test_the_newest_is_found_by_number_and_not_by_spelling() -> None:
    assert newest([client("1.9.11"), client("1.33.1"), client("1.4.0")]) == client("1.33.1")


def test_wrappers_and_silent_ones_are_never_the_newest() -> None:
    silent, wrapper = client(None), client("1.99.0", is_wrapper=True)
    assert newest([silent, wrapper, client("1.20.2")]) == client("1.20.2")
    assert newest([silent, wrapper]) is None


def test_a_script_named_kubectl_is_a_wrapper(tmp_path: Path) -> None:
    script(tmp_path / "kubectl", "v1.30.1")
    (found,) = find(tmp_path)
    assert (found.version, found.is_wrapper) == ("1.30.1", True)


def test_a_link_to_a_program_of_another_name_is_a_wrapper(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    shutil.copy("/bin/true", tmp_path / "real/k3s")
    (tmp_path / "kubectl").symlink_to("real/k3s")
    (found,) = find(tmp_path)
    assert (found.version, found.is_wrapper) == (None, True)


@pytest.mark.parametrize("text", ["", "not JSON", '{"clientVersion": 3}', "[]"])
def test_a_program_that_answers_nonsense_has_no_version(tmp_path: Path, text: str) -> None:
    write_program(tmp_path / "kubectl", f"#!/bin/sh\nprintf '%s' '{text}'\n")
    assert [one.version for one in find(tmp_path)] == [None]


def test_a_program_that_cannot_be_executed_at_all_is_left_out(tmp_path: Path) -> None:
    write_program(tmp_path / "kubectl", "\x7fELF of another machine")
    assert find(tmp_path) == ()


def test_versioned_ones_are_found_beside_path_and_beside_what_it_links_to(tmp_path: Path) -> None:
    real = script(tmp_path / "sdk/bin/kubectl", "v1.32.4-dispatcher")
    script(real.with_name("kubectl.1.33"), "v1.33.1")
    script(real.with_name("kubectl-1.27.16"), "v1.27.16")
    script(tmp_path / "bin/kubectl1.20", "v1.20.2")
    (tmp_path / "bin/kubectl").symlink_to(real)
    found = find(tmp_path / "bin")
    assert [one.version for one in found] == ["1.20.2", "1.27.16", "1.32.4", "1.33.1"]
    names = [str(Path(one.path).relative_to(tmp_path)) for one in found]
    assert names == ["bin/kubectl1.20", "sdk/bin/kubectl-1.27.16", "bin/kubectl", names[3]]


def test_a_plugin_is_never_run_to_ask_for_its_version(tmp_path: Path) -> None:
    for name in ("kubectl-convert", "kubectl_1", "kubectl.old", "kubectl-1.2-delete"):
        write_program(tmp_path / name, f"#!/bin/sh\ntouch {tmp_path}/acted\n")
    assert find(tmp_path) == ()
    assert not (tmp_path / "acted").exists()


def test_where_we_stand_is_not_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "bin/kubectl", "v1.30.0")
    monkeypatch.chdir(tmp_path / "bin")
    assert find_kubectls({"PATH": ":.:../bin"}) == ()


def test_a_directory_that_is_closed_to_us_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    script(tmp_path / "kubectl", "v1.30.0")
    monkeypatch.setattr(other_clients.os, "listdir", refuse)
    monkeypatch.setattr(other_clients.os, "readlink", refuse)
    assert find(tmp_path) == ()


def test_one_file_under_two_names_is_listed_once_by_the_first(tmp_path: Path) -> None:
    script(tmp_path / "a/kubectl", "v1.30.0")
    (tmp_path / "b").mkdir()
    (tmp_path / "b/kubectl").symlink_to(tmp_path / "a/kubectl")
    (found,) = find(tmp_path / "b", tmp_path / "a")
    assert found.path == str(tmp_path / "b/kubectl")


def test_a_link_to_itself_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "kubectl").symlink_to("kubectl")
    script(tmp_path / "kubectl.1.30", "v1.30.0")
    assert [one.version for one in find(tmp_path)] == ["1.30.0"]


def test_those_that_the_lab_keeps_are_found(tmp_path: Path) -> None:
    kept = script(tmp_path / ".cache/kubelag/clients/1.20.2/kubectl", "v1.20.2")
    assert [one.path for one in find(HOME=str(tmp_path))] == [str(kept)]
    assert [one.path for one in find(XDG_CACHE_HOME=str(tmp_path / ".cache"))] == [str(kept)]


def test_without_a_home_the_lab_keeps_nothing() -> None:
    assert clients_directory({"XDG_CACHE_HOME": "relative"}) is None


def test_a_kubectl_is_asked_with_no_kubeconfig_and_an_empty_home(tmp_path: Path) -> None:
    path = script(tmp_path / "kubectl", "v1.30.0")
    seen = f'echo "$KUBECONFIG $(ls -A "$HOME" | wc -l)" > {tmp_path}/seen\n'
    path.write_text(path.read_text() + seen)
    find(tmp_path, Path("/bin"), HOME="/root", KUBECONFIG="/secret")
    assert (tmp_path / "seen").read_text().split() == ["/dev/null", "0"]


@pytest.mark.real
def test_the_kubectls_of_this_machine_say_their_versions() -> None:
    found = find_kubectls(os.environ)
    if not found:
        pytest.skip("no kubectl on this machine")
    assert all(one.version for one in found)
