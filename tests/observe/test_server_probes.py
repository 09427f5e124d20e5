"""Simpler requests than the command's own, by kubelag's own client."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import MS, S, request
from hostile_server import Answer, Authority, HostileServer, kubeconfig, refuses, well_behaved
from kubelag.model.evidence import OwnRequest
from kubelag.observe import server_probes
from kubelag.observe.server_probes import Probed, probe_server, with_memory_only
from program import script

Serve = Callable[..., HostileServer]
PATH = "/api/v1/nodes?limit=500"
MEMORY = f"{PATH}&resourceVersion=0"


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Servers, which end with the test."""
    started: list[HostileServer] = []

    def start(answer: Answer | None = None, **more: Any) -> HostileServer:
        started.append(HostileServer(answer or well_behaved(), **more))
        return started[-1]

    yield start
    for server in started:
        server.close()


def probed(config: Path, *words: str, path: str = PATH) -> Probed:
    argv = ("kubectl", f"--kubeconfig={config}", *(words or ("get", "nodes")))
    env = {"HOME": str(config.parent), "PATH": "/usr/bin:/bin"}
    return Probed(argv=argv, env=env, target=request(path, 0, 5 * MS))


def purposes(found: tuple[OwnRequest, ...]) -> list[str]:
    return [one.purpose for one in found]


def test_every_pair_goes_there_and_back_over_connections_of_its_own(
    serve: Serve, tmp_path: Path
) -> None:
    authority = Authority()
    server = serve(tls=authority.server())
    found, look = probe_server(probed(kubeconfig(tmp_path, server.url, authority.pem)))
    assert purposes(found) == ["health", "health_as_user", "from_memory", "again"]
    assert server.targets == [
        *("/livez", "/livez", MEMORY, PATH),
        *("/livez", "/livez", PATH, MEMORY),
    ]
    assert (look.observer, look.state, look.events) == ("server_probes", "looked", 4)
    for one in found:
        assert [phase.kind for phase in one.phases][:2] == ["connect", "tls"]
    assert [one.status for one in found] == [404, 404, 200, 200]
    assert found[2].url.endswith(MEMORY)


def test_health_is_asked_as_nobody_and_as_the_user(serve: Serve, tmp_path: Path) -> None:
    authority = Authority()
    server = serve(tls=authority.server())
    path = kubeconfig(tmp_path, server.url, authority.pem, {"token": "planted", "as": "somebody"})
    found, _ = probe_server(probed(path))
    health = [one for one in server.heads if one.target == "/livez"]
    assert [one.header("authorization") for one in health] == [
        *("", "Bearer planted"),
        *("Bearer planted", ""),
    ]
    assert [bool(one.header("impersonate-user")) for one in health] == [False, True, True, False]
    assert "planted" not in repr(found)


def test_a_plugin_runs_once(serve: Serve, tmp_path: Path) -> None:
    authority = Authority()
    server = serve(tls=authority.server())
    version = "client.authentication.k8s.io/v1"
    answer = f'{{"kind":"ExecCredential","apiVersion":"{version}","status":{{"token":"planted"}}}}'
    program = script(tmp_path / "login", f"echo run >> {tmp_path}/runs", f"echo '{answer}'")
    spec = {"apiVersion": version, "command": str(program), "interactiveMode": "IfAvailable"}
    path = kubeconfig(tmp_path, server.url, authority.pem, {"exec": spec})
    found, _ = probe_server(probed(path))
    assert (tmp_path / "runs").read_text() == "run\n"
    assert purposes(found) == ["health", "health_as_user", "from_memory", "again"]
    assert sum(one.spent_ns("credential") > 0 for one in found) <= 1


def test_the_faster_of_two_is_kept(serve: Serve, tmp_path: Path) -> None:
    seen: list[str] = []

    def answer(exchange: Any) -> None:
        seen.append(exchange.target)
        is_first = seen.count(exchange.target) == 1
        exchange.answer(500 if is_first and exchange.target == PATH else 200, "{}")

    found, _ = probe_server(probed(kubeconfig(tmp_path, serve(answer).url)))
    assert len(found) == 4
    tries = [
        OwnRequest(verb="GET", url="x", status=status, took_ns=took)
        for status, took in ((200, 5), (200, 3), (None, 1))
    ]
    assert min(tries, key=server_probes._own_ns).took_ns == 3


def test_without_a_request_only_health_is_asked_for(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    wanted = replace(probed(kubeconfig(tmp_path, server.url)), target=None)
    assert purposes(probe_server(wanted)[0]) == ["health", "health_as_user"]
    assert server.targets == ["/livez"] * 4


def test_a_request_that_names_its_version_has_no_twin(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    path = "/api/v1/nodes?resourceVersion=7"
    assert purposes(probe_server(probed(kubeconfig(tmp_path, server.url), path=path))[0]) == [
        "health",
        "health_as_user",
    ]


def test_refusals_are_answers(serve: Serve, tmp_path: Path) -> None:
    server = serve(refuses(403, "Forbidden"))
    found, look = probe_server(probed(kubeconfig(tmp_path, server.url)))
    assert (look.state, {one.status for one in found}) == ("looked", {403})


def test_the_servers_prefix_comes_first(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    config = kubeconfig(tmp_path, f"{server.url}/k8s/c-1")
    probe_server(probed(config, path="/k8s/c-1/api/v1/nodes"))
    assert set(server.targets) == {
        *("/k8s/c-1/livez", "/k8s/c-1/api/v1/nodes"),
        "/k8s/c-1/api/v1/nodes?resourceVersion=0",
    }


def test_a_server_that_is_gone_could_not_be_looked_at(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    config = kubeconfig(tmp_path, server.url)
    server.close()
    found, look = probe_server(probed(config))
    assert look.state == "could_not_look"
    assert "health: no connection to 127.0.0.1:" in look.how
    assert all(one.status is None for one in found)


def test_all_of_it_has_a_limit(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = probed(kubeconfig(tmp_path, serve(is_deaf=True).url))
    slow = replace(wanted, target=request(PATH, 0, 2 * S))
    assert slow.patience_s == pytest.approx(16)
    monkeypatch.setattr(server_probes, "_PATIENCE_S", 0.2)
    found, look = probe_server(wanted)
    assert look.state == "could_not_look"
    assert "since the time was over" in look.how
    assert sum(one.took_ns for one in found) < 5 * S


def test_nothing_is_written(serve: Serve, tmp_path: Path) -> None:
    config = kubeconfig(tmp_path, serve().url)
    probe_server(probed(config))
    assert list(tmp_path.iterdir()) == [config]


def test_no_secret_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise ZeroDivisionError("https://me:planted@h")

    monkeypatch.setattr(server_probes, "_Sending", crash)
    wanted = probed(tmp_path, "get", "nodes", "--token=planted")
    found, look = probe_server(wanted)
    assert (found, look.how) == ((), "it crashed: ZeroDivisionError: https://REDACTED@h")
    assert "planted" not in repr(wanted)


@given(st.from_regex(r"[a-zA-Z]{1,8}=[a-z0-9]{0,5}", fullmatch=True), st.booleans())
def test_memory_only_adds_one_word_and_only_once(pair: str, has_query: bool) -> None:
    url = f"https://h/api/v1/nodes{f'?{pair}' if has_query else ''}"
    changed = with_memory_only(url)
    assert changed in {f"{url}{'&' if has_query else '?'}resourceVersion=0", ""}
    assert with_memory_only(changed or f"{url}&resourceVersion=0") in {"", changed}
