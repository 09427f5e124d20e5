"""Where the report goes: pipes that close, places that are full, terminals and colour."""

import os
import pty
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from program import Program, all_of

pytestmark = pytest.mark.real
GET_NODES = ("get", "nodes")


# Where the report goes


@pytest.fixture
def bundle(kubelag: Program, fake: Callable[..., Path], tmp_path: Path) -> Path:
    """A small bundle."""
    kubelag("explain", "--once", "--save", tmp_path / "bundle", fake("exit 0"), "delete", "x")
    return tmp_path / "bundle"


def test_a_reader_who_has_read_enough_is_no_accident(kubelag: Program, bundle: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = kubelag("explain", "--from", bundle, stdout=write)
    os.close(write)
    assert done.code == 128 + signal.SIGPIPE
    assert done.err == ""


@pytest.mark.parametrize("words", [(), ("--output", "/dev/full")], ids=["stdout", "output"])
def test_a_place_that_is_full_is_one_sentence(
    kubelag: Program, bundle: Path, words: tuple[str, ...]
) -> None:
    with Path("/dev/full").open("w") as full:
        done = kubelag("explain", "--from", bundle, *words, stdout=full)
    assert done.code == 1
    assert len(done.told) == 1
    assert "no space left on device; choose another place with --output" in _flat(done.err)


def _flat(text: str) -> str:
    return text.replace("(", "").replace(")", "")


def test_a_closed_standard_output_is_one_sentence(kubelag: Program, bundle: Path) -> None:
    closed = kubelag.running_as("/bin/sh", "-c", 'exec "$@" >&-', "sh", *kubelag.argv)
    done = closed("explain", "--from", bundle)
    assert (done.code, len(done.told)) == (1, 1)
    assert "standard output" in done.told[0]


@pytest.mark.parametrize(
    ("env", "has_colour"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colour_is_for_terminals_that_want_it(
    kubelag: Program, bundle: Path, env: dict[str, str], *, has_colour: bool
) -> None:
    ours, theirs = pty.openpty()
    coloured = kubelag.having(**{"TERM": "xterm-256color", **env})
    with coloured.start("explain", "--from", bundle, stdout=theirs) as process:
        os.close(theirs)
        shown = all_of(ours)
        assert process.wait(timeout=30) == 0
    assert b"delete" in shown
    assert (b"\x1b[" in shown and b"m" in shown.partition(b"\x1b[")[2][:8]) == has_colour
