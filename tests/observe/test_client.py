"""Who the client really is."""

import json
import os
import shutil
from pathlib import Path

import pytest

from kubelag.errors import CommandNotExecutableError, CommandNotFoundError
from kubelag.observe.client import identify

GCLOUD = Path("/usr/lib/google-cloud-sdk/bin")


def client(directory: Path, name: str = "kubectl", version: str = "v1.20.2") -> Path:
    """A stand-in that says its version as a client does, and what it was called with."""
    directory.mkdir(exist_ok=True)
    path = directory / name
    said = json.dumps({"clientVersion": {"gitVersion": version}})
    path.write_text(
        f"#!/bin/sh\necho \"$0 $* $HOME $KUBECONFIG\" >>'{directory}/calls'\necho '{said}'\n"
    )
    path.chmod(0o755)
    return path


def path_of(*directories: Path) -> dict[str, str]:
    return {"PATH": ":".join([*map(str, directories), "/usr/bin", "/bin"])}


def test_a_client_is_found_on_path_and_says_its_version(tmp_path: Path) -> None:
    path = client(tmp_path / "a")
    found = identify("kubectl", path_of(tmp_path / "none", tmp_path / "a"))
    assert (found.name, found.path, found.kind, found.version) == (
        "kubectl",
        str(path),
        "kubectl",
        "1.20.2",
    )
    assert found.wrappers == (str(path),)


def test_it_is_asked_without_home_and_kubeconfig(tmp_path: Path) -> None:
    client(tmp_path / "a")
    identify("kubectl", {**path_of(tmp_path / "a"), "HOME": "/root", "KUBECONFIG": "/x"})
    (call,) = (tmp_path / "a/calls").read_text().splitlines()
    assert "version --client -o json" in call
    home, kubeconfig = call.split()[-2:]
    assert home.startswith("/tmp/kubelag-version-")
    assert not Path(home).exists()
    assert kubeconfig == "/dev/null"


def test_a_shim_that_needs_the_home_is_asked_once_more(tmp_path: Path) -> None:
    path = client(tmp_path / "a")
    path.write_text(path.read_text().replace("echo '{", f'[ "$HOME" = {tmp_path} ] && echo \'{{'))
    found = identify("kubectl", {**path_of(tmp_path / "a"), "HOME": str(tmp_path)})
    assert found.version == "1.20.2"


def test_the_chain_of_the_run_tells_the_real_binary(tmp_path: Path) -> None:
    wrapper = client(tmp_path / "a")
    real = client(tmp_path / "b", "kubectl.1.27", "v1.27.16")
    found = identify("kubectl", path_of(tmp_path / "a"), [str(wrapper), "/usr/bin/env", str(real)])
    assert found.version == "1.27.16"
    assert found.real_path == str(real)
    assert found.wrappers[:2] == (str(wrapper), "/usr/bin/env")


def test_a_link_by_another_name_is_followed(tmp_path: Path) -> None:
    real = client(tmp_path / "a")
    (tmp_path / "a/k").symlink_to(real)
    found = identify("k", path_of(tmp_path / "a"))
    assert (found.kind, found.real_path) == ("kubectl", str(real))


def test_a_program_of_many_faces_is_asked_by_the_name_it_was_called(tmp_path: Path) -> None:
    many = client(tmp_path / "a", "k3s")
    (tmp_path / "a/kubectl").symlink_to(many)
    found = identify("kubectl", path_of(tmp_path / "a"))
    assert (found.kind, found.real_path) == ("kubectl", str(many))
    assert (tmp_path / "a/calls").read_text().startswith(f"{tmp_path}/a/kubectl ")


def test_a_dispatcher_is_a_wrapper(tmp_path: Path) -> None:
    path = client(tmp_path / "a", version="v1.32.4-dispatcher")
    found = identify("kubectl", path_of(tmp_path / "a"))
    assert (found.version, found.wrappers) == ("1.32.4", (str(path),))


@pytest.mark.parametrize("name", ["rm", "kubectl-lag", "helm", "kubectx"])
def test_nothing_that_is_no_kubectl_is_ever_run_to_ask(tmp_path: Path, name: str) -> None:
    client(tmp_path / "a", name)
    found = identify(name, path_of(tmp_path / "a"))
    assert (found.kind, found.version) == ("unknown", None)
    assert not (tmp_path / "a/calls").exists()


def test_a_kubectl_that_never_answers_is_unknown(tmp_path: Path) -> None:
    path = client(tmp_path / "a")
    path.write_text("#!/bin/sh\nexec sleep 600\n")
    assert identify("kubectl", path_of(tmp_path / "a"), timeout_s=0.3).kind == "unknown"


@pytest.mark.parametrize("output", ["", "no json", "[]", '{"clientVersion": {"gitVersion": 3}}'])
def test_a_kubectl_that_answers_otherwise_is_unknown(tmp_path: Path, output: str) -> None:
    path = client(tmp_path / "a")
    path.write_text(f"#!/bin/sh\necho '{output}'\n")
    assert identify("kubectl", path_of(tmp_path / "a")).kind == "unknown"


def test_a_missing_command_is_told_with_exit_code_127(tmp_path: Path) -> None:
    for name in ("kubectl-nowhere", f"{tmp_path}/kubectl", ""):
        with pytest.raises(CommandNotFoundError) as caught:
            identify(name, path_of(tmp_path))
        assert caught.value.exit_code == 127
        assert caught.value.next_step


def test_a_file_that_may_not_be_executed_is_told_with_exit_code_126(tmp_path: Path) -> None:
    client(tmp_path / "a").chmod(0o644)
    (tmp_path / "b/kubectl").mkdir(parents=True)
    (tmp_path / "c").mkdir()
    (tmp_path / "c/kubectl").symlink_to("nowhere")
    told = {"a": "may not be executed", "b": "is a directory", "c": "is a link to nothing"}
    for place, words in told.items():
        with pytest.raises(CommandNotExecutableError, match=words) as caught:
            identify("kubectl", {"PATH": str(tmp_path / place)})
        assert caught.value.exit_code == 126


def test_an_unusable_one_is_passed_over_for_a_usable_one(tmp_path: Path) -> None:
    client(tmp_path / "a").chmod(0o644)
    path = client(tmp_path / "b")
    assert identify("kubectl", path_of(tmp_path / "a", tmp_path / "b")).path == str(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [("#!/nowhere/sh\n", "interpreter does not exist"), ("\x01\x02", "cannot be executed")],
)
def test_a_broken_program_is_told(tmp_path: Path, content: str, words: str) -> None:
    client(tmp_path / "a").write_text(content)
    with pytest.raises(CommandNotExecutableError, match=words):
        identify("kubectl", path_of(tmp_path / "a"))


@pytest.mark.real
def test_real_clients_say_who_they_are() -> None:
    versioned = sorted(GCLOUD.glob("kubectl.1.*"))
    if not versioned:
        pytest.skip("no versioned kubectl binaries on this machine")
    for path in versioned:
        found = identify(str(path), dict(os.environ))
        assert found.kind == "kubectl"
        assert found.version is not None
        assert path.name == "kubectl." + found.version.rpartition(".")[0]
        assert found.wrappers == ()


@pytest.mark.real
def test_the_real_dispatcher_is_seen_through() -> None:
    path = shutil.which("kubectl")
    if path is None or not os.path.realpath(path).startswith(str(GCLOUD)):
        pytest.skip("kubectl is not the gcloud dispatcher on this machine")
    real = min(GCLOUD.glob("kubectl.1.*"))
    before = identify("kubectl", dict(os.environ))
    after = identify("kubectl", dict(os.environ), [path, str(real)])
    assert before.wrappers == (path,)
    assert after.wrappers == (path,)
    assert after.real_path == str(real)
