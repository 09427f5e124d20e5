"""Exec plugins run by themselves, as real scripts."""

import json
import os
from pathlib import Path

import pytest

from kubelag.errors import CredentialError
from kubelag.kube.auth.exec_plugin import run_exec_plugin
from kubelag.kube.config.kubeconfig import Cluster, ExecSpec
from kubelag.kube.secret import Secret
from program import ends

PLANTED = "PLANTED5ecretValue"
V1 = "client.authentication.k8s.io/v1"
ENV = {"PATH": "/usr/bin:/bin"}


def plugin(tmp_path: Path, script: str, **fields: object) -> ExecSpec:
    path = tmp_path / "plugin"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    known: dict[str, object] = {
        "command": str(path),
        "args": Secret(()),
        "env": Secret(()),
        "api_version": V1,
    }
    return ExecSpec(**{**known, **fields})  # type: ignore[arg-type]  # a test's short hand


def answer(status: object, version: str = V1) -> str:
    return json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status})


def test_a_token_is_handed_out_with_its_end_and_its_time(tmp_path: Path) -> None:
    said = answer({"token": PLANTED, "expirationTimestamp": "2030-01-01T00:00:00Z"})
    ticks = iter([1000, 3500])
    credential = run_exec_plugin(
        plugin(tmp_path, f"echo '{said}'"), Cluster(), 10, env=ENV, clock_ns=lambda: next(ticks)
    )
    assert credential.token is not None
    assert credential.token.reveal() == PLANTED
    assert credential.expiry == "2030-01-01T00:00:00Z"
    assert credential.expires_s == 1893456000
    assert credential.took_ns == 2500
    assert PLANTED not in repr(credential)


def test_a_certificate_with_its_key_is_a_credential_too(tmp_path: Path) -> None:
    said = answer({"clientCertificateData": "CERT", "clientKeyData": PLANTED})
    credential = run_exec_plugin(plugin(tmp_path, f"echo '{said}'"), Cluster(), 10, env=ENV)
    assert credential.token is None
    assert credential.client_certificate == "CERT"
    assert PLANTED not in repr(credential)


def test_the_plugin_gets_arguments_environment_and_cluster(tmp_path: Path) -> None:
    said = answer({"token": "t"})
    spec = plugin(
        tmp_path,
        f"echo \"$1 $REGION $KUBERNETES_EXEC_INFO\" >{tmp_path}/told\necho '{said}'",
        args=Secret(("login",)),
        env=Secret((("REGION", "north"),)),
        provide_cluster_info=True,
    )
    run_exec_plugin(spec, Cluster(server="https://a", exec_config={"x": 1}), 10, env=ENV)
    first, region, info = (tmp_path / "told").read_text().split(" ", 2)
    assert (first, region) == ("login", "north")
    told = json.loads(info)
    assert told["apiVersion"] == V1
    assert told["spec"]["cluster"] == {"server": "https://a", "config": {"x": 1}}
    assert told["spec"]["interactive"] is False


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo 'password=PLANTED5ecretValue wrong' >&2; exit 3", "exit code 3: password=REDACTED"),
        (f"echo {PLANTED}", "is not JSON"),
        (f"echo '[\"{PLANTED}\"]'", "is no ExecCredential"),
        (f"echo '{answer({})}'", "neither a token nor a certificate"),
        (f"echo '{answer({'token': 1})}'", "a token that is no text"),
        (f"echo '{answer({'token': PLANTED}, V1 + 'beta1')}'", "is not of version"),
        (f"echo '{answer({'token': PLANTED, 'clientKeyData': 'k'})}'", "a key without it"),
        (f"echo '{answer({'token': 't', 'expirationTimestamp': 'soon'})}'", "no time of RFC 3339"),
        (f"echo '{answer({'token': 't', 'expirationTimestamp': '2030-01-01'})}'", "no time of"),
        ("head -c 100 /dev/urandom", "is not JSON"),
        (f"echo '{json.dumps(answer({}))}'", "is no ExecCredential"),
        ("kill -9 $$", "was ended by signal 9"),
    ],
)
def test_a_bad_answer_is_told_without_its_text(tmp_path: Path, script: str, told: str) -> None:
    with pytest.raises(CredentialError) as caught:
        run_exec_plugin(plugin(tmp_path, script), Cluster(), 10, env=ENV)
    assert told in caught.value.message
    assert PLANTED not in str(caught.value)


def test_a_plugin_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    spec = plugin(tmp_path, f"sleep 600 & echo $! >{tmp_path}/pid; wait")
    with pytest.raises(CredentialError, match="did not answer within"):
        run_exec_plugin(spec, Cluster(), 0.5, env=ENV)
    assert ends(int((tmp_path / "pid").read_text()))


def test_a_missing_plugin_is_told(tmp_path: Path) -> None:
    spec = plugin(tmp_path, "", command="/nowhere/plugin")
    with pytest.raises(CredentialError, match="cannot be run"):
        run_exec_plugin(spec, Cluster(), 1, env=ENV)


@pytest.mark.parametrize(
    "fields",
    [{"api_version": "client.authentication.k8s.io/v1alpha1"}, {"interactive_mode": "Always"}],
)
def test_what_cannot_be_run_apart_is_not_run(tmp_path: Path, fields: dict[str, object]) -> None:
    spec = plugin(tmp_path, f"touch {tmp_path}/ran", **fields)
    with pytest.raises(CredentialError):
        run_exec_plugin(spec, Cluster(), 1, env=ENV)
    assert not (tmp_path / "ran").exists()


def test_the_hint_for_somebody_who_lacks_the_plugin_is_shown_on_one_line(tmp_path: Path) -> None:
    hint = "get it:\n\n  \x1b[31mmake\x1b[0m install\x07"
    spec = plugin(tmp_path, "", command="kubelag-no-such-plugin", install_hint=hint)
    with pytest.raises(CredentialError) as caught:
        run_exec_plugin(spec, Cluster(), 1, env=ENV)
    assert caught.value.next_step.startswith("install it (get it: make install), or correct")


def test_an_environment_that_cannot_be_is_told(tmp_path: Path) -> None:
    spec = plugin(tmp_path, "", env=Secret((("A", "b\0c"),)))
    with pytest.raises(CredentialError, match="cannot be run"):
        run_exec_plugin(spec, Cluster(), 1, env=ENV)


@pytest.mark.parametrize(("mode", "is_asked"), [("", True), ("Always", True), ("Never", False)])
def test_with_somebody_at_the_terminal_the_plugin_may_ask(
    tmp_path: Path, mode: str, is_asked: bool
) -> None:
    said = answer({"token": "t"})
    script = f"read line; echo \"$line $KUBERNETES_EXEC_INFO\" >{tmp_path}/told; echo '{said}'"
    spec = plugin(tmp_path, script, interactive_mode=mode)
    ours, theirs = os.pipe()
    os.write(theirs, b"typed\n")
    os.close(theirs)
    kept = os.dup(0)
    os.dup2(ours, 0)
    try:
        run_exec_plugin(spec, Cluster(), 10, env=ENV, stdin_is_terminal=True)
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        os.close(ours)
    line, info = (tmp_path / "told").read_text().split(" ", 1)
    assert line == ("typed" if is_asked else "")
    assert json.loads(info)["spec"]["interactive"] is is_asked
