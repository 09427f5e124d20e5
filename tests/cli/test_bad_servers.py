"""Whatever answers instead of an API server: one sentence, exit code 1, and a cache unspoiled."""

import datetime as dt
import gzip
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hostile_server import (
    NODE_TABLE,
    Answer,
    Authority,
    Exchange,
    HostileServer,
    in_turn,
    kubeconfig,
    refuses,
    serving,
    tree,
    well_behaved,
)
from program import Done, Program

HTML = "<html><body>Please log in</body></html>"
NODES = "/api/v1/nodes"
Ask = Callable[..., Done]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def kubelag(home: Path) -> Program:
    return Program(env={"HOME": str(home), "PATH": os.defpath})


@pytest.fixture
def ask(kubelag: Program, tmp_path: Path) -> Ask:
    """Runs `kubelag get nodes` against a URL, and waits for the child that writes the cache."""

    def run(server: str, *words: str, ca: bytes = b"", **fields: object) -> Done:
        path = kubeconfig(tmp_path, server, ca, **fields)  # type: ignore[arg-type]
        done = kubelag.having(KUBECONFIG=path)("get", "nodes", *words)
        assert kubelag.left() == []
        return done

    return run


def said(done: Done, *parts: str, code: int = 1) -> str:
    """The one sentence, which has these parts and a next step."""
    assert done.code == code, done
    assert done.out == ""
    (line,) = done.err.splitlines()
    assert line.startswith("kubelag: ")
    assert "; " in line, "there is no next step"
    assert all(part in line for part in parts), line
    return line


@pytest.fixture
def hostile() -> Iterator[Callable[..., HostileServer]]:
    """Starts servers that end with the test."""
    started: list[HostileServer] = []

    def start(*args: Answer, **options: object) -> HostileServer:
        started.append(HostileServer(*args, **options))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for server in started:
        server.close()


Start = Callable[..., HostileServer]


def answers(status: int, body: str = "", kind: str = "text/html", **headers: str) -> Answer:
    return lambda exchange: exchange.answer(status, body, kind, **headers)


def breaks_off(exchange: Exchange) -> None:
    exchange.hang_up(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"
    )


def speaks_garbage(exchange: Exchange) -> None:
    exchange.hang_up(b"SSH-2.0-OpenSSH_9.2\r\n")


def hangs_up(exchange: Exchange) -> None:
    exchange.hang_up()


def never_ends(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        exchange.send(b" ")
        time.sleep(0.01)


REFUSALS = {
    "html-200": (answers(200, HTML), ("no JSON",)),
    "html-502": (answers(502, HTML), ("HTTP 502", "HTML page")),
    "html-401": (answers(401, HTML), ("HTTP 401", "log in again")),
    "empty-200": (answers(200, ""), ("no JSON",)),
    "array": (answers(200, "[]", "application/json"), ("no JSON",)),
    "deep": (answers(200, "[" * 200_000, "application/json"), ("no JSON",)),
    "not-utf8": (lambda exchange: exchange.answer(200, b'{"a": "\xff\xfe"}'), ()),
    "redirect": (
        answers(302, location="https://elsewhere.example/login?token=s3cret"),
        ("redirects", "https://elsewhere.example/login", "final URL"),
    ),
    "redirect-nowhere": (answers(301), ("redirects", "nowhere")),
    "401": (refuses(401, "Unauthorized"), ("401 Unauthorized", "log in again")),
    "403": (refuses(403, "Forbidden", "you may not"), ("you may not", "ask for the right")),
    "404": (refuses(404, "NotFound", "no such thing"), ("no such thing", "404")),
    "406": (refuses(406, "NotAcceptable", "only protobuf"), ("only protobuf", "-o json")),
    "410": (refuses(410, "Expired", "too old"), ("410 Expired", "try again")),
    "409": (refuses(409, "Conflict"), ("409 Conflict",)),
    "500": (refuses(500, "InternalError", "etcd is down"), ("etcd is down", "server's own log")),
    "503-html": (answers(503, HTML), ("HTTP 503",)),
    "504": (refuses(504, "Timeout"), ("504 Timeout", "--request-timeout")),
    "429-long": (
        refuses(429, "TooManyRequests", Retry_After="86400"),
        ("429 TooManyRequests", "try again later"),
    ),
    "teapot": (answers(418, "I am a teapot", "text/plain"), ("HTTP 418",)),
    "truncated": (breaks_off, ("127.0.0.1",)),
    "garbage": (speaks_garbage, ("127.0.0.1",)),
    "hang-up": (hangs_up, ("127.0.0.1",)),
    "control-characters": (
        refuses(400, "BadRequest", "a\x1b[2Jb\nc"),
        ("a [2Jb c", "selectors"),
    ),
    "unknown-coding": (
        lambda exchange: exchange.answer(200, b"abc", Content_Encoding="br"),
        ("'br'",),
    ),
    "damaged-gzip": (
        lambda exchange: exchange.answer(200, b"\x1f\x8b\x08abc", Content_Encoding="gzip"),
        ("'gzip'",),
    ),
    "truncated-gzip": (
        lambda exchange: exchange.answer(
            200, gzip.compress(b"{}" * 99)[:-9], Content_Encoding="gzip"
        ),
        ("'gzip'",),
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_list_that_is_none_is_one_sentence(name: str, ask: Ask, hostile: Start) -> None:
    answer, parts = REFUSALS[name]
    server = hostile(well_behaved({NODES: answer}))
    line = said(ask(server.url), *parts)
    assert "s3cret" not in line
    assert f"127.0.0.1:{server.port}" in line


@pytest.mark.parametrize("name", [name for name in REFUSALS if name not in {"403", "404"}])
@pytest.mark.parametrize("path", ["/api", "/apis"])
def test_discovery_that_is_none_is_one_sentence_and_leaves_nothing_in_the_cache(
    name: str, path: str, ask: Ask, hostile: Start, home: Path
) -> None:
    answer, parts = REFUSALS[name]
    server = hostile(well_behaved({path: answer}))
    line = said(ask(server.url), *[part for part in parts if part != "no JSON"])
    assert f"127.0.0.1:{server.port}" in line
    assert tree(home) == []


def test_half_a_discovery_is_enough_and_none_is_one_sentence(
    ask: Ask, hostile: Start, home: Path
) -> None:
    missing = refuses(404, "NotFound", "go away")
    done = ask(hostile(well_behaved({"/apis": missing})).url)
    assert (done.code, done.out, done.err) == (0, "NAME\nnode1\n", "")
    before = tree(home)
    said(ask(hostile(well_behaved({"/api": missing, "/apis": missing})).url), "go away", "404")
    assert tree(home) == before


@pytest.mark.parametrize("path", ["/api", "/apis"])
def test_half_a_discovery_that_is_forbidden_is_not_taken_for_all_there_is(
    path: str, ask: Ask, hostile: Start, home: Path
) -> None:
    said(ask(hostile(well_behaved({path: refuses(403, "Forbidden", "go away")})).url), "go away")
    assert tree(home) == []


@pytest.mark.parametrize("name", ["html-200", "html-502", "500", "403", "truncated", "garbage"])
def test_one_group_version_that_is_wrong_costs_only_itself(
    name: str, ask: Ask, hostile: Start, home: Path
) -> None:
    answer, _ = REFUSALS[name]
    server = hostile(well_behaved({"/apis/apps/v1": answer}))
    done = ask(server.url)
    assert (done.code, done.out, done.err) == (0, "NAME\nnode1\n", "")
    found = tree(home / ".kube/cache/discovery")
    assert any(one.endswith("/v1/serverresources.json") for one in found)
    assert not any("apps/v1/serverresources.json" in one for one in found)


def test_nobody_listens(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    said(ask(f"https://127.0.0.1:{port}"), f"127.0.0.1:{port}", "connection refused", "kubeconfig")


def test_a_name_that_does_not_exist(ask: Ask) -> None:
    said(ask("https://no-such-host.invalid:6443"), "no-such-host.invalid", "not found", "resolv")


def test_nothing_is_heard_after_the_connection(ask: Ask, hostile: Start) -> None:
    server = hostile(is_deaf=True)
    began_s = time.monotonic()
    done = ask(f"https://127.0.0.1:{server.port}", "--request-timeout=300ms")
    said(done, f"127.0.0.1:{server.port}")
    assert time.monotonic() - began_s < 5


def test_nothing_is_heard_after_tls(ask: Ask, hostile: Start, authority: Authority) -> None:
    server = hostile(tls=authority.server())
    done = ask(server.url, "--request-timeout=300ms", ca=authority.pem)
    said(done, f"127.0.0.1:{server.port}", "no answer within", "--request-timeout")


def test_nothing_is_heard_after_a_plain_connection(ask: Ask, hostile: Start) -> None:
    server = hostile()
    said(ask(server.url, "--request-timeout=300ms"), "no answer within", "--request-timeout")


def test_a_body_that_never_ends_is_given_its_time_and_no_more(ask: Ask, hostile: Start) -> None:
    server = hostile(well_behaved({NODES: never_ends}))
    said(ask(server.url, "--request-timeout=500ms"), "no answer within", "--request-timeout")


def test_an_authority_that_did_not_sign_it(ask: Ask, hostile: Start, authority: Authority) -> None:
    server = hostile(well_behaved(), tls=authority.server())
    said(ask(server.url, ca=Authority().pem), "not trusted", "certificate-authority-data")


def test_no_authority_at_all(ask: Ask, hostile: Start, authority: Authority) -> None:
    server = hostile(well_behaved(), tls=authority.server())
    said(ask(server.url), "not trusted", "the system's certificate authorities")


def test_a_certificate_that_has_expired(ask: Ask, hostile: Start, authority: Authority) -> None:
    past = dt.datetime(2021, 1, 1, tzinfo=dt.UTC)
    server = hostile(well_behaved(), tls=authority.server(ends=past))
    said(ask(server.url, ca=authority.pem), "expired", "clock")


def test_a_certificate_for_another_name(ask: Ask, hostile: Start, authority: Authority) -> None:
    server = hostile(well_behaved(), tls=authority.server("api.example.com"))
    said(ask(server.url, ca=authority.pem), "not trusted", "--tls-server-name")
    done = ask(server.url, "--tls-server-name=api.example.com", ca=authority.pem)
    assert (done.code, done.out, done.err) == (0, "NAME\nnode1\n", "")


def test_any_certificate_will_do_where_the_user_says_so(
    ask: Ask, hostile: Start, authority: Authority
) -> None:
    server = hostile(well_behaved(), tls=authority.server("api.example.com"))
    done = ask(server.url, "--insecure-skip-tls-verify")
    assert (done.code, done.out, done.err) == (0, "NAME\nnode1\n", "")


def test_a_plain_port_spoken_to_with_https(ask: Ask, hostile: Start) -> None:
    server = hostile(greet=lambda line: line.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    said(ask(f"https://127.0.0.1:{server.port}"), f"127.0.0.1:{server.port}", "no TLS", "scheme")


def test_a_tls_port_spoken_to_with_http(ask: Ask, hostile: Start, authority: Authority) -> None:
    server = hostile(well_behaved(), tls=authority.server())
    said(ask(f"http://127.0.0.1:{server.port}"), f"127.0.0.1:{server.port}")


def test_a_server_that_wants_patience_is_given_some(ask: Ask, hostile: Start) -> None:
    impatient = refuses(429, "TooManyRequests", Retry_After="0")
    server = hostile(well_behaved({NODES: in_turn(*[impatient] * 3, well_behaved())}))
    done = ask(server.url)
    assert (done.code, done.out, done.err) == (0, "NAME\nnode1\n", "")
    assert server.paths.count(NODES) == 4


@pytest.mark.parametrize("code", [429, 503])
def test_patience_has_an_end(code: int, ask: Ask, hostile: Start) -> None:
    server = hostile(well_behaved({NODES: refuses(code, "Whatever", Retry_After="0")}))
    said(ask(server.url), f"{code} Whatever")
    assert server.paths.count(NODES) == 11


def test_a_wait_that_does_not_fit_into_the_time_is_not_begun(ask: Ask, hostile: Start) -> None:
    server = hostile(well_behaved({NODES: refuses(503, "ServiceUnavailable", Retry_After="30")}))
    said(ask(server.url, "--request-timeout=5s"), "503 ServiceUnavailable")
    assert server.paths.count(NODES) == 1


def test_a_lost_connection_costs_no_more_than_a_repetition(ask: Ask, hostile: Start) -> None:
    server = hostile(well_behaved({NODES: in_turn(hangs_up, breaks_off, well_behaved())}))
    assert ask(server.url).out == "NAME\nnode1\n"


def test_an_answer_may_be_compressed(ask: Ask, hostile: Start) -> None:
    body = gzip.compress(json.dumps(NODE_TABLE).encode())
    server = hostile(
        well_behaved({NODES: lambda exchange: exchange.answer(200, body, Content_Encoding="gzip")})
    )
    assert ask(server.url).out == "NAME\nnode1\n"
    assert {one.header("accept-encoding") for one in server.heads} == {"gzip"}
    ask(server.url, "--disable-compression")
    assert server.heads[-1].header("accept-encoding") in {"", "identity"}


TABLES = {
    "no-columns": {**NODE_TABLE, "columnDefinitions": None},
    "columns-of-text": {**NODE_TABLE, "columnDefinitions": "Name"},
    "rows-of-numbers": {**NODE_TABLE, "rows": [1, 2]},
    "cells-too-few": {**NODE_TABLE, "rows": [{"cells": []}]},
    "cells-too-many": {**NODE_TABLE, "rows": [{"cells": ["a", "b", {"c": 1}]}]},
    "metadata-a-text": {**NODE_TABLE, "metadata": "continue"},
    "continue-a-number": {**NODE_TABLE, "metadata": {"continue": 0}},
    "object-a-number": {**NODE_TABLE, "rows": [{"cells": ["a"], "object": 7}]},
    "no-kind": {},
    "items-a-text": {"kind": "NodeList", "items": "none"},
    "items-of-numbers": {"kind": "NodeList", "items": [1]},
    "item-without-metadata": {"kind": "NodeList", "items": [{"metadata": None}]},
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("output", [(), ("-o=wide", "--show-labels"), ("-o=json",), ("-o=name",)])
def test_a_table_that_is_wrong_is_no_traceback(
    name: str, output: tuple[str, ...], ask: Ask, hostile: Start
) -> None:
    answer = well_behaved({NODES: lambda exchange: exchange.answer_json(TABLES[name])})
    done = ask(hostile(answer).url, *output)
    assert "Traceback" not in done.err, done.err
    assert done.code in {0, 1}
    if done.code:
        said(done)


def test_an_endless_list_ends_when_the_same_page_comes_again(ask: Ask, hostile: Start) -> None:
    page = {**NODE_TABLE, "metadata": {"continue": "again"}}
    server = hostile(well_behaved({NODES: lambda exchange: exchange.answer_json(page)}))
    done = ask(server.url)
    assert (done.code, done.out) == (1, "NAME\nnode1\n")
    assert "the same page of /api/v1/nodes again" in done.err


def test_what_a_server_says_reaches_no_terminal_as_a_command(ask: Ask, hostile: Start) -> None:
    rows = [{"cells": ["evil\x1b]0;owned\x07\r\n"]}]
    answer = well_behaved({NODES: lambda one: one.answer_json({**NODE_TABLE, "rows": rows})})
    assert "\x1b" not in ask(hostile(answer).url).out


def test_a_second_try_after_a_bad_day_finds_everything(ask: Ask, hostile: Start) -> None:
    bad = answers(502, HTML)
    server = hostile(well_behaved({"/apis": in_turn(bad, well_behaved())}))
    said(ask(server.url), "HTTP 502")
    done = ask(server.url)
    assert (done.code, done.out) == (0, "NAME\nnode1\n")
    with serving(well_behaved()) as other:
        assert ask(other.url).out == "NAME\nnode1\n"
