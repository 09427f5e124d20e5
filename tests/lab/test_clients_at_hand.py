"""Finding the kubectl binaries of a machine, and telling real ones from wrappers."""

import json
import os
from pathlib import Path

import pytest

from kubelag.lab.clients import LabClient, find_kubectls, identify, newest


def script(path: Path, version: str) -> Path:
    """A stand-in that answers `version --client` as kubectl does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    answer = json.dumps({"clientVersion": {"gitVersion": version}})
    path.write_text(f"#!/bin/sh\necho '{answer}'\n")
    path.chmod(0o755)
    return path


def client(version: str | None, *, is_wrapper: bool = False) -> LabClient:
    path = Path(f"/bin/kubectl-{version}")
    return LabClient(path=path, version=version, source="given", is_wrapper=is_wrapper)


def test_the_newest_is_found_by_number_and_not_by_spelling() -> None:
    assert newest([client("1.9.11"), client("1.33.1"), client("1.4.0")]) == client("1.33.1")


def test_wrappers_and_silent_ones_are_never_the_newest() -> None:
    silent, wrapper = client(None), client("1.99.0", is_wrapper=True)
    assert newest([silent, wrapper, client("1.20.2")]) == client("1.20.2")
    assert newest([silent, wrapper]) is None


def test_a_script_named_kubectl_is_a_wrapper(tmp_path: Path) -> None:
    found = identify(script(tmp_path / "kubectl", "v1.30.1"))
    assert found.is_wrapper
    assert found.version == "1.30.1"


def test_a_link_to_a_program_of_another_name_is_a_wrapper(tmp_path: Path) -> None:
    (tmp_path / "kubectl").symlink_to("/bin/true")
    assert identify(tmp_path / "kubectl").is_wrapper


def test_what_calls_itself_a_dispatcher_is_a_wrapper(tmp_path: Path) -> None:
    found = identify(script(tmp_path / "kubectl", "v1.32.4-dispatcher"))
    assert found.is_wrapper
    assert found.version == "1.32.4"


@pytest.mark.parametrize("text", ["", "not JSON", '{"clientVersion": 3}', "[]"])
def test_a_program_that_answers_nonsense_has_no_version(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubectl"
    path.write_text(f"#!/bin/sh\nprintf '%s' '{text}'\n")
    path.chmod(0o755)
    assert identify(path).version is None


def test_versioned_ones_are_found_beside_path_and_beside_what_it_links_to(tmp_path: Path) -> None:
    real = script(tmp_path / "sdk" / "bin" / "kubectl", "v1.32.4-dispatcher")
    script(real.with_name("kubectl.1.33"), "v1.33.1")
    script(real.with_name("kubectl-1.27.16"), "v1.27.16")
    script(real.with_name("kubectl-convert"), "v9.9.9")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "kubectl").symlink_to(real)
    script(tmp_path / "bin" / "kubectl1.20", "v1.20.2")
    found = find_kubectls({"PATH": f"{tmp_path / 'bin'}:.:relative"})
    assert [one.version for one in found] == ["1.20.2", "1.27.16", "1.32.4", "1.33.1"]
    assert [one.path.parent.name for one in found] == ["bin"] * 4


def test_one_file_under_two_names_is_listed_once(tmp_path: Path) -> None:
    script(tmp_path / "a" / "kubectl", "v1.30.0")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "kubectl").symlink_to(tmp_path / "a" / "kubectl")
    assert len(find_kubectls({"PATH": f"{tmp_path / 'a'}:{tmp_path / 'b'}"})) == 1


def test_those_that_the_lab_keeps_are_found(tmp_path: Path) -> None:
    kept = script(tmp_path / ".cache/kubelag/clients/1.20.2/kubectl", "v1.20.2")
    (found,) = find_kubectls({"PATH": "", "HOME": str(tmp_path)})
    assert (found.path, found.source) == (kept, "lab")


def test_a_kubectl_is_asked_with_no_kubeconfig_and_an_empty_home(tmp_path: Path) -> None:
    path = tmp_path / "kubectl"
    path.write_text(f'#!/bin/sh\necho "$KUBECONFIG $(ls -A "$HOME" | wc -l)" > {tmp_path}/seen\n')
    path.chmod(0o755)
    identify(path)
    assert (tmp_path / "seen").read_text().split() == ["/dev/null", "0"]


@pytest.mark.real
def test_the_kubectls_of_this_machine_say_their_versions() -> None:
    found = find_kubectls(os.environ)
    if not found:
        pytest.skip("no kubectl on this machine")
    assert all(one.version for one in found)
