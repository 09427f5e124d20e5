"""`kubelag version`, beside a small server."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from hostile_server import HostileServer, kubeconfig, serving, well_behaved
from kubelag import __version__
from program import Done, Program


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with serving(well_behaved()) as found:
        yield found


@pytest.fixture
def kubelag(server: HostileServer, tmp_path: Path) -> Program:
    path = kubeconfig(tmp_path, server.url)
    return Program(env={"HOME": str(tmp_path), "PATH": os.defpath, "KUBECONFIG": str(path)})


def test_both_versions_are_told(kubelag: Program) -> None:
    expected = f"Client Version: kubelag {__version__}\nServer Version: v1.30.0\n"
    assert kubelag("version") == Done(0, expected, "")


def test_ones_own_is_told_without_a_server(kubelag: Program, server: HostileServer) -> None:
    server.close()
    program = kubelag.having(KUBECONFIG="/nowhere")
    assert program("version", "--client") == Done(0, f"Client Version: kubelag {__version__}\n", "")


@pytest.mark.parametrize(("output", "load"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_programs_may_read_it(output: str, load: object, kubelag: Program) -> None:
    found = load(kubelag("version", "-o", output).out)  # type: ignore[operator]
    assert found == {
        "clientVersion": {"gitVersion": f"kubelag {__version__}"},
        "serverVersion": {"gitVersion": "v1.30.0"},
    }


def test_a_server_that_does_not_answer_is_one_sentence(
    kubelag: Program, server: HostileServer
) -> None:
    server.close()
    done = kubelag("version")
    assert (done.code, len(done.err.splitlines())) == (1, 1)
    assert f"127.0.0.1:{server.port}" in done.err


@pytest.mark.parametrize("told", ["[]", '"v1"', "<html>", ""])
def test_rubbish_is_one_sentence(told: str, tmp_path: Path) -> None:
    with serving(well_behaved({"/version": lambda one: one.answer(200, told)})) as server:
        path = kubeconfig(tmp_path, server.url)
        env = {"HOME": str(tmp_path), "PATH": os.defpath, "KUBECONFIG": str(path)}
        done = Program(env=env)("version")
    assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 1)
