"""The way as a command line, a kubeconfig and an environment have it: before anything is sent."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from evidence import SERVER, connection, evidence, path, request
from kubelag.engine.road import Hints, Road, road_to, with_path, without_path
from kubelag.engine.setting import Setting, look_at
from kubelag.errors import UsageError
from kubelag.model.evidence import Look
from kubelag.observe.path import survey
from kubelag.observe.path.survey import Asked
from program import fake_kubectl

LITERAL = "https://192.0.2.1:6443"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    fake_kubectl(tmp_path / "kubectl")
    return tmp_path


def setting(home: Path, *words: str, server: str = LITERAL, **more: str) -> Setting:
    cluster = {"server": server} | {name: more.pop(name) for name in ("proxy-url",) & more.keys()}
    config = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    (home / "config").write_text(json.dumps(config))
    env = {"HOME": str(home), "PATH": os.environ["PATH"], "KUBECONFIG": str(home / "config")}
    return look_at((str(home / "kubectl"), *(words or ("get", "nodes"))), env | more)


def road(home: Path, *words: str, hints: Hints | None = None, **more: str) -> Road:
    return road_to(setting(home, *words, **more), hints or Hints())


@pytest.mark.parametrize(
    ("server", "servers", "port", "name"),
    [
        (LITERAL, ("192.0.2.1:6443",), 6443, ""),
        ("https://[2001:db8::1]:8443", ("[2001:db8::1]:8443",), 8443, ""),
        ("https://192.0.2.1", ("192.0.2.1:443",), 443, ""),
        ("https://api.example.com:6443/k8s/c", (), 6443, "api.example.com"),
        ("http://localhost:8080", (), 8080, "localhost"),
    ],
)
def test_the_kubeconfig_says_what_is_dialled(
    home: Path, server: str, servers: tuple[str, ...], port: int, name: str
) -> None:
    scope = road(home, server=server).scope
    assert (scope.servers, scope.ports, scope.name) == (servers, {port}, name)
    assert scope.why_no_capture == ""


@pytest.mark.parametrize(
    "words",
    [
        ("--server=https://192.0.2.9:7443", "get", "nodes"),
        ("--server", "https://192.0.2.9:7443", "get", "nodes"),
        ("-s", "https://192.0.2.9:7443", "get", "nodes"),
        ("get", "nodes", "-s=https://192.0.2.9:7443"),
        ("get", "nodes", "-shttps://192.0.2.9:7443"),
    ],
)
def test_the_command_line_goes_before_it(home: Path, words: tuple[str, ...]) -> None:
    assert road(home, *words).scope.servers == ("192.0.2.9:7443",)


@pytest.mark.parametrize(
    "env",
    [
        {"HTTPS_PROXY": "http://user:secret@192.0.2.8:3128"},
        {"https_proxy": "http://192.0.2.8:3128"},
        {"proxy-url": "http://192.0.2.8:3128"},
    ],
)
def test_what_is_dialled_is_the_proxy_where_there_is_one(home: Path, env: dict[str, str]) -> None:
    found = road(home, **env)
    assert found.scope.servers == ("192.0.2.8:3128",)
    assert found.scope.roles.proxy_ports == {3128}
    assert "secret" not in repr(found.scope)


def test_a_proxy_that_is_not_for_this_server_is_not_dialled(home: Path) -> None:
    env = {"HTTPS_PROXY": "http://192.0.2.8:3128", "NO_PROXY": "192.0.2.1"}
    assert road(home, **env).scope.servers == ("192.0.2.1:6443",)


def test_plain_http_is_known_to_have_no_handshake(home: Path) -> None:
    assert road(home, server="http://192.0.2.1:8080").scope.roles.plain_ports == {8080}
    assert road(home).scope.roles.plain_ports == frozenset()


@pytest.mark.parametrize("words", [("version", "--client"), ("config", "view"), ("--help",)])
def test_a_command_that_talks_to_nobody_has_no_road(home: Path, words: tuple[str, ...]) -> None:
    found = road(home, *words)
    assert found.asked is None
    assert found.scope.why_no_capture == "the command talks to no server that is known"
    look = with_path(evidence(looks=()), found).look("path")
    assert look is not None
    assert look.state == "not_asked"


def test_a_program_that_is_no_kubectl_has_none(home: Path) -> None:
    found = road_to(look_at(("true",), {"PATH": os.environ["PATH"]}), Hints())
    assert found.asked is None
    assert found.scope.ports == frozenset()
    assert home.exists()


def test_a_server_that_cannot_be_meant_is_told_and_stops_nothing(home: Path) -> None:
    found = road(home, server="https://192.0.2.1:banana")
    assert found.scope.why_no_capture
    looked = with_path(evidence(path=None, looks=()), found)
    look = looked.look("path")
    assert looked.path is None
    assert look is not None
    assert (look.state, look.how) == ("could_not_look", found.scope.why_no_capture)


def test_no_capture_is_no_capture(home: Path) -> None:
    scope = road(home, hints=Hints(captures=False)).scope
    assert scope.why_no_capture == "it was not wanted (--no-capture)"


@pytest.mark.parametrize("backend", ["10.0.0.1", "10.0.0.1:0", "2001:db8::1:6443", ":6443", ""])
def test_a_backend_that_is_no_address_is_refused_before_anything_runs(
    home: Path, backend: str
) -> None:
    with pytest.raises(UsageError, match="is no address with a port"):
        road(home, hints=Hints(backends=("10.0.0.1:6443", backend)))


def test_a_balancers_file_that_is_not_there_is_refused_before_anything_runs(home: Path) -> None:
    with pytest.raises(UsageError) as caught:
        road(home, hints=Hints(haproxy=home / "none.cfg"))
    told = f"--haproxy {home / 'none.cfg'} cannot be read (no such file or directory)"
    assert caught.value.message == told
    with pytest.raises(UsageError, match="neither a file nor a socket"):
        road(home, hints=Hints(haproxy=home))


def test_a_balancers_socket_is_asked_and_its_configuration_is_not(home: Path) -> None:
    (home / "haproxy.cfg").write_text("")
    assert road(home, hints=Hints(haproxy=home / "haproxy.cfg")).scope.stats_socket is None
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(home / "stats"))
        found = road(home, hints=Hints(haproxy=home / "stats"))
    assert found.scope.stats_socket == home / "stats"


def test_the_survey_is_told_whom_the_run_talked_to(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Asked] = []

    def after(one: Asked, _earlier: Any) -> tuple[Any, Look]:
        asked.append(one)
        return path(), Look(observer="path", state="looked", how="in a test")

    monkeypatch.setattr(survey, "after", after)
    seen = evidence(
        path=None, looks=(), connections=(connection(0, 9),), requests=(request("/api", 0, 9),)
    )
    found = with_path(seen, road(home, hints=Hints(backends=("10.0.0.1:6443",))))
    assert found.path == path()
    assert found.has_looked("path")
    assert asked[0].addresses == (SERVER,)
    assert asked[0].backends == ("10.0.0.1:6443",)


def test_a_way_that_was_not_probed_says_why() -> None:
    look = without_path(evidence(looks=()), "nothing is to be run again").look("path")
    assert look is not None
    assert (look.state, look.how) == ("not_asked", "nothing is to be run again")


def test_nothing_is_sent_before_the_run(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0)
        port = listening.getsockname()[1]
        road(home, server=f"https://127.0.0.1:{port}")
        with pytest.raises(BlockingIOError):
            listening.accept()
