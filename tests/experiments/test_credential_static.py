"""The plugin's credential without the plugin, in memory that only the command inherits."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evidence import evidence
from kubelag.experiments.contract import NotApplicableError, Situation, Variant
from kubelag.experiments.credential_static import CredentialStatic
from kubelag.experiments.workshop import Workshop
from kubelag.kube.config.kubeconfig import load_kubeconfig
from program import script

API = "client.authentication.k8s.io/v1beta1"
ENV = {"PATH": os.environ["PATH"]}


def kubeconfig(path: Path, user: dict[str, Any]) -> Path:
    path.write_text(
        json.dumps(
            {
                "clusters": [{"name": "c", "cluster": {"server": "https://s:6443"}}],
                "users": [{"name": "u", "user": user}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    return path


def plugin(path: Path, *lines: str) -> dict[str, Any]:
    return {"exec": {"apiVersion": API, "command": str(script(path, *lines))}}


def situation(config: Path) -> Situation:
    argv = ("kubectl", f"--kubeconfig={config}", "get", "nodes")
    return Situation(
        evidence=evidence(command=argv),
        unchanged=Variant(argv=argv, env=ENV),
        kubeconfig=load_kubeconfig(argv, ENV),
        workshop=Workshop(),
    )


@pytest.fixture
def answering(tmp_path: Path) -> Situation:
    """A user with a plugin that answers."""
    answer = {"apiVersion": API, "kind": "ExecCredential", "status": {"token": "planted"}}
    user = plugin(tmp_path / "login", f"echo '{json.dumps(answer)}'")
    return situation(kubeconfig(tmp_path / "config", user))


@pytest.fixture
def varied(answering: Situation) -> Iterator[Variant]:
    """The command without the plugin."""
    (treatment,) = CredentialStatic().vary(answering)
    variant = treatment.variant
    yield variant
    for fd in variant.pass_fds:
        os.close(fd)


def test_the_command_finds_the_credential_behind_a_descriptor(varied: Variant) -> None:
    assert varied.argv == ("kubectl", "get", "nodes")
    done = subprocess.run(
        ["sh", "-c", 'cat "$KUBECONFIG"; cat "$KUBECONFIG"'],
        env=dict(varied.env),
        pass_fds=varied.pass_fds,
        capture_output=True,
        check=True,
    )
    once = done.stdout[: len(done.stdout) // 2]
    assert done.stdout == once * 2
    (user,) = json.loads(once)["users"]
    assert user == {"name": "u", "user": {"token": "planted"}}


def test_it_is_in_no_file_no_argument_and_nothing_that_is_shown(varied: Variant) -> None:
    (fd,) = varied.pass_fds
    assert os.readlink(f"/proc/self/fd/{fd}").startswith("/memfd:")  # noqa: PTH115 - no path
    assert not os.get_inheritable(fd)
    assert "planted" not in repr(varied)


@pytest.mark.parametrize(
    ("user", "why"),
    [
        ({"token": "t"}, "has no credential plugin"),
        ({}, "has no credential plugin"),
        ({"exec": {"apiVersion": API, "command": "/no/such/plugin"}}, "cannot be run"),
        ({"exec": {"apiVersion": "v7", "command": "true"}}, "speaks v7"),
    ],
)
def test_without_a_plugin_that_answers_it_does_not_apply(
    tmp_path: Path, user: dict[str, Any], why: str
) -> None:
    with pytest.raises(NotApplicableError, match=why):
        CredentialStatic().vary(situation(kubeconfig(tmp_path / "config", user)))


def test_a_plugin_that_fails_is_told_without_its_secrets(tmp_path: Path) -> None:
    user = plugin(tmp_path / "login", "echo 'password=planted' >&2", "exit 1")
    with pytest.raises(NotApplicableError) as told:
        CredentialStatic().vary(situation(kubeconfig(tmp_path / "config", user)))
    assert "planted" not in str(told.value)


def test_without_a_kubeconfig_it_does_not_apply() -> None:
    nothing = Situation(
        evidence=evidence(),
        unchanged=Variant(argv=("kubectl",), env=ENV),
        kubeconfig=None,
        workshop=Workshop(),
    )
    with pytest.raises(NotApplicableError):
        CredentialStatic().vary(nothing)
