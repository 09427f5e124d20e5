"""`kubelag api-resources` and `api-versions`, beside a small server."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostile_server import HostileServer, kubeconfig, refuses, serving, well_behaved
from program import Done, Program

LISTED = """\
NAME          SHORTNAMES   APIVERSION   NAMESPACED   KIND
nodes         no           v1           false        Node
pods          po           v1           true         Pod
deployments   deploy       apps/v1      true         Deployment
"""


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with serving(well_behaved()) as found:
        yield found


@pytest.fixture
def kubelag(server: HostileServer, tmp_path: Path) -> Program:
    path = kubeconfig(tmp_path, server.url)
    return Program(env={"HOME": str(tmp_path), "PATH": os.defpath, "KUBECONFIG": str(path)})


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), LISTED),
        (
            ("--no-headers", "--api-group=apps"),
            "deployments   deploy   apps/v1   true   Deployment\n",
        ),
        (("-o", "name"), "nodes\npods\ndeployments.apps\n"),
        (("-o", "name", "--api-group="), "nodes\npods\n"),
        (("-o", "name", "--api-group", "none"), ""),
        (("-o", "name", "--namespaced"), "pods\ndeployments.apps\n"),
        (("-o", "name", "--namespaced=false"), "nodes\n"),
        (("-o", "name", "--verbs=get,list"), "nodes\npods\ndeployments.apps\n"),
        (("-o", "name", "--verbs=delete"), ""),
        (("-o", "name", "--categories=all"), ""),
        (("-o", "name", "--sort-by=name"), "deployments.apps\nnodes\npods\n"),
        (("-o", "name", "--sort-by=kind"), "deployments.apps\nnodes\npods\n"),
    ],
)
def test_what_there_is_is_listed(words: tuple[str, ...], expected: str, kubelag: Program) -> None:
    assert kubelag("api-resources", *words) == Done(0, expected, "")


def test_wide_shows_verbs_and_categories(kubelag: Program) -> None:
    header, first, *_ = kubelag("api-resources", "-o", "wide").out.splitlines()
    assert header.split()[-2:] == ["VERBS", "CATEGORIES"]
    assert "get,list" in first


def test_the_server_is_asked_each_time_unless_the_cache_will_do(
    kubelag: Program, server: HostileServer
) -> None:
    assert kubelag("api-resources").out == LISTED
    assert kubelag.left() == []
    server.heads.clear()
    assert kubelag("api-resources", "--cached").out == LISTED
    assert kubelag("api-versions", "--cached") == Done(0, "apps/v1\nv1\n", "")
    assert server.heads == []
    assert kubelag("api-versions") == Done(0, "apps/v1\nv1\n", "")
    assert server.paths[:2] != []


def test_one_that_cannot_be_had_is_told_beside_the_rest(tmp_path: Path) -> None:
    answer = well_behaved({"/apis/apps/v1": refuses(503, "ServiceUnavailable")})
    with serving(answer) as server:
        path = kubeconfig(tmp_path, server.url)
        env = {"HOME": str(tmp_path), "PATH": os.defpath, "KUBECONFIG": str(path)}
        done = Program(env=env)("api-resources", "-o", "name")
    assert (done.code, done.out) == (1, "nodes\npods\n")
    assert done.err == "kubelag: apps/v1 cannot be had: HTTP 503; nothing is known of it\n"


@pytest.mark.parametrize("words", [("nonsense",), ("-o", "json"), ("--sort-by=age",)])
def test_a_mistake_is_told_with_the_usage(words: tuple[str, ...], kubelag: Program) -> None:
    done = kubelag("api-resources", *words)
    assert (done.code, done.out) == (2, "")
    assert "usage: kubelag" in done.err
