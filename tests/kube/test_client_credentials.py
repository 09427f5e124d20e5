"""Who a client says it is, and what it does when the server does not take it."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hostile_server import (
    Authority,
    Exchange,
    HostileServer,
    kubeconfig,
    refuses,
    serving,
    well_behaved,
)
from kubelag.errors import ApiError, CredentialError
from kubelag.kube import Client


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with serving(well_behaved()) as found:
        yield found


Make = Callable[..., Client]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes a client of a server; its cache is below `home`."""
    made: list[Client] = []

    def build(
        server: HostileServer,
        *,
        ca: bytes = b"",
        user: dict[str, Any] | None = None,
        env: dict[str, str] | None = None,
        **options: Any,
    ) -> Client:
        path = kubeconfig(tmp_path, server.url, ca, user)
        plain = {"KUBECONFIG": str(path), "HOME": str(tmp_path / "home"), "PATH": os.defpath}
        made.append(Client(env={**plain, **(env or {})}, **options))
        return made[-1]

    yield build
    for client in made:
        client.forget_connections()


# A plugin that counts its runs, and hands out the number of the run as its token.
PLUGIN = """
import json, pathlib, sys
path = pathlib.Path(sys.argv[1])
runs = int(path.read_text()) + 1 if path.exists() else 1
path.write_text(str(runs))
print(json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
                  "status": {"token": f"token-{runs}"}}))
"""


@pytest.fixture
def plugin(tmp_path: Path) -> dict[str, Any]:
    """A kubeconfig's user whose token is made by a program."""
    script = tmp_path / "plugin.py"
    script.write_text(PLUGIN)
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": [str(script), str(tmp_path / "runs")],
            "interactiveMode": "Never",
        }
    }


def only_with(token: str, status: int) -> Callable[[Exchange], None]:
    """Answers as a small server, and refuses every other token."""
    well, badly = well_behaved(), refuses(status, "Whatever")

    def answer(exchange: Exchange) -> None:
        is_right = exchange.header("authorization") == f"Bearer {token}"
        (well if is_right else badly)(exchange)

    return answer


def test_a_plugin_is_asked_again_exactly_once_after_a_401(
    make: Make, authority: Authority, plugin: dict[str, Any], tmp_path: Path
) -> None:
    with serving(only_with("token-2", 401), tls=authority.server()) as server:
        client = make(server, ca=authority.pem, user=plugin)
        assert client.discovery.resolve("deploy")
        assert (tmp_path / "runs").read_text() == "2"
        assert client.document("/version")["gitVersion"] == "v1.30.0"
        assert (tmp_path / "runs").read_text() == "2"


def test_a_plugin_that_cannot_please_the_server_is_asked_twice_and_no_more(
    make: Make, authority: Authority, plugin: dict[str, Any], tmp_path: Path
) -> None:
    with serving(only_with("none", 401), tls=authority.server()) as server:
        client = make(server, ca=authority.pem, user=plugin)
        with pytest.raises(ApiError, match="401"):
            client.request("/version")
        assert (tmp_path / "runs").read_text() == "2"
        assert len(server.heads) == 2


def test_a_plugin_is_never_asked_again_after_a_403(
    make: Make, authority: Authority, plugin: dict[str, Any], tmp_path: Path
) -> None:
    with serving(only_with("none", 403), tls=authority.server()) as server:
        client = make(server, ca=authority.pem, user=plugin)
        with pytest.raises(ApiError, match="403"):
            client.request("/version")
        assert (tmp_path / "runs").read_text() == "1"


def test_no_token_goes_over_a_connection_in_clear(make: Make, server: HostileServer) -> None:
    make(server, user={"token": "s3cret"}).request("/version")
    assert server.heads[-1].header("authorization") == ""


def test_a_token_never_shows(make: Make, authority: Authority) -> None:
    events: list[object] = []
    with serving(refuses(401, "Unauthorized"), tls=authority.server()) as server:
        client = make(server, ca=authority.pem, user={"token": "s3cret"}, observe=events.append)
        with pytest.raises(ApiError) as raised:
            client.request("/version")
        assert server.heads[-1].header("authorization") == "Bearer s3cret"
    assert "s3cret" not in f"{raised.value!r} {events!r} {client.kubeconfig!r}"


def test_a_certificate_without_its_key_is_one_sentence(
    make: Make, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "c.pem").write_bytes(authority.pem)
    with serving(well_behaved(), tls=authority.server()) as server:
        user = {"client-certificate": str(tmp_path / "c.pem")}
        with pytest.raises(CredentialError, match="no key"):
            make(server, ca=authority.pem, user=user).request("/version")
