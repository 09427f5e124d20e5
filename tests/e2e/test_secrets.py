"""Planted secrets: none of them may reach a file, a report or an argument list."""

import gzip
import os
import select
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from program import MEMORY_PLACES, Done, Program, script

pytestmark = pytest.mark.real
PLUGIN_S = 0.5
URL_PASSWORD = "planted-url-password"
PLANTED = {
    "the environment": "planted-in-the-environment",
    "the plugin's environment": "planted-plugin-environment",
    "the server's URL": URL_PASSWORD,
    "standard error": "planted-on-stderr",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """A kubeconfig full of secrets, and what they are."""

    kubeconfig: Path
    planted: Mapping[str, bytes]
    inputs: frozenset[Path]
    """Files that hold them from the start."""
    address: str
    """The server's, with its port."""

    def found_in(self, data: bytes) -> list[str]:
        return [name for name, secret in self.planted.items() if secret in data]


@pytest.fixture
def secrets(server: Path, tmp_path: Path) -> Secrets:
    """The lab's own kubeconfig, with a slow plugin that hands out the lab's own token."""
    credential = (server / "exec-credential.json").read_bytes()
    config = yaml.safe_load((server / "kubeconfig-certificate.yaml").read_text())
    key = config["users"][0]["user"]["client-key-data"]
    plugin = script(
        tmp_path / "login",
        f"echo 'warning: password={PLANTED['standard error']}' >&2",
        f"sleep {PLUGIN_S}",
        f"exec cat {server}/exec-credential.json",
    )
    secret = [{"name": "LOGIN_SECRET", "value": PLANTED["the plugin's environment"]}]
    config["users"] += [{"name": "plugin", "user": {"exec": _exec(plugin, secret)}}]
    config["contexts"][0]["context"]["user"] = "plugin"
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    token = yaml.safe_load(credential)["status"]["token"]
    planted = {**PLANTED, "the plugin's answer": token, "the client key": key[:200]}
    return Secrets(
        kubeconfig=kubeconfig,
        planted={name: text.encode() for name, text in planted.items()},
        inputs=frozenset({kubeconfig, plugin}),
        address=config["clusters"][0]["cluster"]["server"].partition("://")[2],
    )


def _exec(plugin: Path, env: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": str(plugin),
        "args": [],
        "env": env,
        "interactiveMode": "Never",
        "provideClusterInfo": False,
    }


def watched(program: Program, *words: str | Path) -> tuple[Done, bytes]:
    """Run it, and gather the argument lists and the private files that are there meanwhile."""
    process = program.start(*words)
    seen: set[bytes] = set()
    fd = os.pidfd_open(process.pid)
    while not select.select([fd], [], [], 0.05)[0]:
        seen.update(_argument_lists())
    os.close(fd)
    out, err = process.communicate()
    return Done(process.returncode, out, err), b"\n".join(seen)


def _argument_lists() -> Iterator[bytes]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield path.read_bytes()


def written(*roots: Path) -> Iterator[tuple[Path, bytes]]:
    for root in roots:
        for path in root.rglob("*"):
            if path.is_file() and not path.is_symlink():
                data = path.read_bytes()
                with suppress(OSError, EOFError, zlib.error):
                    data += gzip.decompress(data)
                yield path, data


def test_a_slow_plugin_is_proven_and_no_secret_gets_anywhere(
    kubelag: Program, secrets: Secrets, new_kubectl: Path, home: Path, tmp_path: Path
) -> None:
    careful = kubelag.having(KUBECONFIG=secrets.kubeconfig, PASSWORD=PLANTED["the environment"])
    words = ("--save", tmp_path / "bundle", "--format", "json", new_kubectl, "get", "nodes")
    done, argument_lists = watched(careful, "explain", *words)
    assert done.code == 0, done.err
    (line,) = (one for one in done.report["verdicts"] if one["cause"] == "credential_plugin_slow")
    assert line["verdict"] == "proven", line
    assert line["proof"]["experiment"] == "credential_static"
    assert secrets.found_in(argument_lists) == []
    assert secrets.found_in(done.out.encode() + done.err.encode()) == []
    plain = kubelag("explain", "--from", tmp_path / "bundle").out
    assert secrets.found_in(plain.encode()) == []
    ours = {
        path: secrets.found_in(data)
        for path, data in written(tmp_path, *MEMORY_PLACES[:1])
        # What kubectl itself wrote is the user's own affair.
        if path not in secrets.inputs and home not in path.parents
    }
    assert tmp_path / "bundle/evidence.json" in ours
    assert {path: names for path, names in ours.items() if names} == {}


def test_a_failing_commands_words_and_arguments_are_kept_without_their_secrets(
    kubelag: Program, secrets: Secrets, old_kubectl: Path, tmp_path: Path
) -> None:
    token = secrets.planted["the plugin's answer"].decode()
    words = ("--no-proof", "--save", tmp_path / "bundle", "--format", "json", old_kubectl)
    careful = kubelag.having(KUBECONFIG=secrets.kubeconfig)
    url = f"--server=https://admin:{URL_PASSWORD}@{secrets.address}"
    told = []
    for flags in ((f"--token={token}",), (), (url,)):
        done = careful("explain", *words, "get", "nodes/missing", *flags)
        assert done.code == 1
        told.append(done.report["command"]["stderr_tail"])
        assert secrets.found_in(done.out.encode() + done.err.encode()) == []
        for path, data in written(tmp_path / "bundle"):
            assert secrets.found_in(data) == [], path
    assert "not found" in told[0]
    assert "password=REDACTED" in told[1]


def test_a_bundle_and_a_report_are_their_owners_alone(
    kubelag: Program, secrets: Secrets, old_kubectl: Path, tmp_path: Path
) -> None:
    assert secrets.kubeconfig.exists()
    output, bundle = tmp_path / "report", tmp_path / "bundle"
    words = ("--no-proof", "--save", bundle, "--output", output, old_kubectl, "version", "--client")
    assert kubelag("explain", *words).code == 0
    modes = {path.stat().st_mode & 0o777 for path in (output, *bundle.iterdir())}
    assert modes == {0o600}
    assert bundle.stat().st_mode & 0o777 == 0o700
