"""Real clients against a tiny server: what we read is what really happened."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kubelag.kube.cache.layout import http_name
from kubelag.kube.command import with_global_flags
from kubelag.kube.config.kubeconfig import load_kubeconfig
from kubelag.kube.versions import parse_version
from kubelag.model.evidence import CacheDirectory
from kubelag.observe.cache_directory import look
from kubelag.observe.client import identify
from kubelag.observe.debug_log import ClientLog, DebugLogReader

pytestmark = pytest.mark.real

GROUP = {"groupVersion": "g.example.com/v1", "version": "v1"}
ANSWERS: dict[str, object] = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [{"name": "g.example.com", "versions": [GROUP], "preferredVersion": GROUP}],
    },
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [
            {"name": "nodes", "singularName": "", "kind": "Node", "verbs": ["get", "list"]}
        ],
    },
    "/apis/g.example.com/v1": {
        "kind": "APIResourceList",
        "groupVersion": "g.example.com/v1",
        "resources": [{"name": "things", "singularName": "", "kind": "Thing", "verbs": ["get"]}],
    },
    "/api/v1/nodes": {"kind": "NodeList", "apiVersion": "v1", "metadata": {}, "items": []},
}


@dataclass
class Server:
    """The tiny server, and the paths that it was asked for."""

    url: str
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            tiny.asked.append(self.path)
            answer = ANSWERS.get(self.path.partition("?")[0])
            body = json.dumps(answer or {"kind": "Status", "code": 404}).encode()
            self.send_response(200 if answer else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        tiny = Server(f"http://127.0.0.1:{http.server_address[1]}")
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield tiny
        finally:
            http.shutdown()
            thread.join()


@dataclass
class Case:
    """One client with a home of its own."""

    client: str
    version: str
    env: dict[str, str]
    server: Server

    def run(self, line: str = "get nodes") -> tuple[bytes, ClientLog]:
        argv = with_global_flags([self.client, *line.split()], {"-v": "6"})
        reader = DebugLogReader(time.time_ns())
        done = subprocess.run(argv, env=self.env, capture_output=True, check=False, timeout=60)
        return reader.feed(done.stderr) + reader.close(), reader.result()

    def look(self) -> CacheDirectory:
        config = load_kubeconfig([self.client], self.env)
        return look([self.client], self.env, self.version, config.cluster.server)


@pytest.fixture
def case(kubectl_path: Path, server: Server, tmp_path: Path) -> Case:
    (tmp_path / ".kube").mkdir()
    cluster = {"name": "c", "cluster": {"server": server.url}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    users = [{"name": "u", "user": {"token": "t"}}]
    config = {"clusters": [cluster], "contexts": [context], "users": users, "current-context": "x"}
    (tmp_path / ".kube/config").write_text(json.dumps(config))
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    found = identify(str(kubectl_path), env)
    assert found.version
    assert not found.wrappers
    return Case(client=str(kubectl_path), version=found.version, env=env, server=server)


def test_the_log_names_every_request_that_the_server_saw(case: Case) -> None:
    before_ns = time.time_ns()
    shown, log = case.run()
    after_ns = time.time_ns()
    told = [request.url.removeprefix(case.server.url) for request in log.requests]
    assert sorted(told) == sorted(case.server.asked)
    # Milliseconds are cut off, so a start may be early by less than one.
    assert all(one.start_ns > before_ns - 1_000_000 for one in log.requests)
    assert all(one.end_ns < after_ns for one in log.requests)
    assert b"round_trippers" not in shown
    assert shown.startswith(b"No resources found")


def test_the_cache_is_cold_before_a_run_and_warm_after_it(case: Case) -> None:
    before = case.look()
    assert (before.state, before.entries) == ("cold", 0)
    case.run()
    after = case.look()
    assert (after.state, after.entries, after.problem) == ("warm", 3, None)
    case.server.asked.clear()
    case.run()
    assert case.server.asked == ["/api/v1/nodes?limit=500"]


def test_http_entries_are_named_as_we_expect(case: Case) -> None:
    case.run()
    version = parse_version(case.version)
    assert version is not None
    names = {path.name for path in Path(case.look().root, "http").iterdir()}
    assert {http_name(f"{case.server.url}{path}", version) for path in case.server.asked[:2]} <= (
        names
    )


def test_a_dangling_link_is_recognised_and_costs_every_run_its_discovery(case: Case) -> None:
    Path(case.look().root).symlink_to("/nowhere/at/all")
    assert case.look().state == "dangling_link"
    case.run()
    case.server.asked.clear()
    case.run()
    assert len(case.server.asked) > 1


def test_a_failing_command_shows_its_own_words_and_no_log(case: Case) -> None:
    shown, log = case.run("get nodes/missing")
    assert b"Error from server" in shown
    assert b"goroutine" not in shown
    assert log.requests[-1].status == 404
