"""One of the command's requests, sent once more by kubelag's own client."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evidence import MS, S, request
from hostile_server import (
    Answer,
    Authority,
    HostileServer,
    in_turn,
    kubeconfig,
    refuses,
    well_behaved,
)
from kubelag.kube.reading import ACCEPT_TABLE
from kubelag.model.evidence import Look, OwnPhase, OwnRequest
from kubelag.observe import own_request
from kubelag.observe.own_request import Asking, ask
from program import script

Serve = Callable[..., HostileServer]


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


def asking(config: Path, *words: str, path: str = "/api/v1/nodes?limit=500") -> Asking:
    """What the log of `kubectl get nodes` says, with more words."""
    argv = ("kubectl", f"--kubeconfig={config}", *(words or ("get", "nodes")))
    env = {"HOME": str(config.parent), "PATH": "/usr/bin:/bin"}
    return Asking(argv=argv, env=env, request=request(path, 0, 5 * MS))


def kinds(seen: OwnRequest | None) -> list[str]:
    assert seen is not None
    return [phase.kind for phase in seen.phases]


def test_every_phase_of_one_request_is_kept(serve: Serve, tmp_path: Path) -> None:
    authority = Authority()
    server = serve(tls=authority.server())
    seen, look = ask(asking(kubeconfig(tmp_path, server.url, authority.pem)))
    assert (look.observer, look.state, look.events) == ("own_request", "looked", 4)
    assert seen is not None
    assert (seen.verb, seen.status, seen.has_succeeded) == ("GET", 200, True)
    assert kinds(seen) == ["connect", "tls", "server", "transfer"]
    assert [phase.detail for phase in seen.phases[:2]] == [
        f"127.0.0.1:{server.port}",
        "TLSv1.3 http/1.1",
    ]
    assert 0 < sum(phase.took_ns for phase in seen.phases) <= seen.took_ns


def test_nothing_else_is_asked_for_and_nothing_is_written(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    config = kubeconfig(tmp_path, server.url)
    ask(asking(config))
    assert server.targets == ["/api/v1/nodes?limit=500"]
    assert list(tmp_path.iterdir()) == [config]


@pytest.mark.parametrize(
    ("words", "is_table"),
    [
        (("get", "nodes"), True),
        (("get", "nodes", "-o", "wide"), True),
        (("get", "nodes", "-owide"), True),
        (("get", "nodes", "-ojson"), False),
        (("get", "nodes", "--output=name"), False),
        (("get", "--raw", "/api/v1/nodes"), False),
        (("describe", "node", "x"), False),
    ],
)
def test_a_table_is_asked_for_where_kubectl_asks_for_one(
    words: tuple[str, ...], *, is_table: bool, serve: Serve, tmp_path: Path
) -> None:
    server = serve()
    ask(asking(kubeconfig(tmp_path, server.url), *words))
    assert server.heads[0].header("accept") == (ACCEPT_TABLE if is_table else "application/json")


def test_it_is_sent_as_whom_the_flags_say(serve: Serve, tmp_path: Path) -> None:
    authority = Authority()
    server = serve(tls=authority.server())
    config = kubeconfig(tmp_path, server.url, authority.pem, {"token": "of-the-file"})
    ask(asking(config, "get", "nodes", "--token=planted", "--as=somebody"))
    (sent,) = server.heads
    assert sent.header("authorization") == "Bearer planted"
    assert sent.header("impersonate-user") == "somebody"


def test_the_servers_prefix_is_not_sent_twice(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    config = kubeconfig(tmp_path, f"{server.url}/k8s/clusters/c-1")
    ask(asking(config, path="/k8s/clusters/c-1/api/v1/nodes"))
    assert server.targets == ["/k8s/clusters/c-1/api/v1/nodes"]


def test_a_request_beside_the_prefix_is_not_sent(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    seen, look = ask(asking(kubeconfig(tmp_path, f"{server.url}/k8s")))
    assert (seen, look.state, server.targets) == (None, "could_not_look", [])
    assert look.how.startswith("/api/v1/nodes is not below")


def test_a_refusal_is_an_answer_with_its_status(serve: Serve, tmp_path: Path) -> None:
    server = serve(refuses(403, "Forbidden"))
    seen, look = ask(asking(kubeconfig(tmp_path, server.url)))
    assert seen is not None
    assert (look.state, seen.status, seen.has_succeeded) == ("looked", 403, False)
    assert seen.outline.endswith(", HTTP 403")


def test_what_the_server_asks_to_wait_is_a_phase(serve: Serve, tmp_path: Path) -> None:
    server = serve(in_turn(refuses(429, "TooManyRequests", Retry_After="0"), well_behaved()))
    seen, _ = ask(asking(kubeconfig(tmp_path, server.url)))
    assert "wait" in kinds(seen)
    assert seen is not None
    assert seen.has_succeeded


def test_a_server_that_is_gone_could_not_be_looked_at(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    config = kubeconfig(tmp_path, server.url)
    server.close()
    seen, look = ask(asking(config))
    assert look.state == "could_not_look"
    assert look.how.startswith("no connection to 127.0.0.1:")
    assert seen is not None
    assert (seen.status, [phase.is_failure for phase in seen.phases]) == (None, [True])
    assert "(1 of 1 try failed)" in seen.outline


def test_a_server_that_says_nothing_is_waited_for_twice_as_long_and_not_longer(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(is_deaf=True)
    wanted = asking(kubeconfig(tmp_path, server.url))
    assert replace(wanted, request=request("/x", 0, 3 * S)).patience_s == pytest.approx(16)
    monkeypatch.setattr(own_request, "_PATIENCE_S", 0.1)
    seen, look = ask(wanted)
    assert look.state == "could_not_look"
    assert seen is not None
    assert seen.status is None


def plugin(directory: Path, *lines: str, **fields: Any) -> dict[str, Any]:
    """A user with this exec plugin."""
    program = script(directory / "login", *lines)
    version = "client.authentication.k8s.io/v1"
    spec = {"apiVersion": version, "command": str(program), "interactiveMode": "IfAvailable"}
    return {"exec": {**spec, **fields}}


ANSWER = (
    'echo \'{"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", '
    '"status": {"token": "planted"}}\''
)


def test_a_plugin_is_run_without_a_terminal_and_its_time_is_a_phase(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    authority = Authority()
    server = serve(tls=authority.server())
    told = f'echo "$KUBERNETES_EXEC_INFO" > {tmp_path}/told'
    config = kubeconfig(tmp_path, server.url, authority.pem, plugin(tmp_path, told, ANSWER))
    seen, _ = ask(asking(config))
    assert kinds(seen)[0] == "credential"
    assert server.heads[0].header("authorization") == "Bearer planted"
    assert '"interactive": false' in (tmp_path / "told").read_text()
    assert "planted" not in repr(seen)


@pytest.mark.parametrize(
    ("lines", "fields", "why"),
    [
        (("exit 3",), {}, "failed with exit code 3"),
        ((ANSWER,), {"interactiveMode": "Always"}, "always wants a terminal"),
    ],
    ids=["fails", "asks somebody"],
)
def test_a_plugin_that_gives_nothing_is_why_nothing_was_sent(
    lines: tuple[str, ...], fields: dict[str, str], why: str, tmp_path: Path
) -> None:
    user = plugin(tmp_path, *lines, **fields)
    seen, look = ask(asking(kubeconfig(tmp_path, "https://127.0.0.1:1", user=user)))
    assert look.state == "could_not_look"
    assert why in look.how
    assert seen is None or seen.status is None


def test_no_secret_is_kept(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve()
    wanted = asking(kubeconfig(tmp_path, server.url))
    url = "https://somebody:planted@h/api/v1/nodes?token=planted"
    seen, _ = ask(replace(wanted, request=replace(wanted.request, url=url)))
    assert "planted" not in repr(seen)
    assert "planted" not in repr(replace(wanted, argv=("kubectl", "--token=planted")))

    def crash(*_args: object) -> None:
        raise ZeroDivisionError("https://somebody:planted@h")

    monkeypatch.setattr(own_request, "_send", crash)
    assert ask(wanted) == (
        None,
        Look(
            observer="own_request",
            state="could_not_look",
            how="it crashed: ZeroDivisionError: https://REDACTED@h",
        ),
    )


def test_ctrl_c_is_not_swallowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(own_request, "_send", interrupt)
    with pytest.raises(KeyboardInterrupt):
        ask(asking(tmp_path))


def test_an_outline_sums_the_phases_of_a_kind() -> None:
    tries = (
        OwnPhase(kind="connect", took_ns=300 * MS, is_failure=True),
        OwnPhase(kind="connect", took_ns=2 * MS),
        OwnPhase(kind="server", took_ns=1510 * MS),
    )
    seen = OwnRequest(verb="GET", url="https://h/x", status=200, took_ns=2 * S, phases=tries)
    assert seen.outline == "connect 302 ms (1 of 2 tries failed), server 1.51 s"
