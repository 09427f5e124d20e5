"""Cut short at any moment: the report of what was seen, and nothing left behind."""

import os
import pty
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from kubelag.observe import tracefs
from program import Program, all_of, ended_by, script, until_line

pytestmark = pytest.mark.real
GET_NODES = ("get", "nodes")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    "lines",
    [("sleep 1000",), ("trap '' INT TERM HUP", "sleep 1000 & wait; wait")],
    ids=["obedient", "deaf"],
)
def test_a_command_that_never_ends_is_ended_with_all_that_it_started(
    kubelag: Program,
    fake: Callable[..., Path],
    fifo: Path,
    number: signal.Signals,
    lines: tuple[str, ...],
) -> None:
    process = kubelag.start("explain", fake(f"echo up > {fifo}", *lines), *GET_NODES)
    fifo.read_text()
    done = ended_by(process, number)
    assert done.code == 130
    assert "stopped after" in done.out
    assert "the figures tell only what was seen until then" in done.out
    assert done.told == []


def test_ctrl_c_at_a_terminal_gives_the_report_of_what_was_seen(
    kubelag: Program, fake: Callable[..., Path], fifo: Path
) -> None:
    ours, theirs = pty.openpty()
    process = kubelag.start(
        *("explain", fake(f"echo up > {fifo}", "sleep 1000"), *GET_NODES),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(theirs), os.O_RDWR)),
    )
    os.close(theirs)
    fifo.read_text()
    os.write(ours, b"\x03")
    shown = all_of(ours)
    assert process.wait(timeout=30) == 130
    assert b"the figures tell only what was seen until then" in shown
    assert b"Traceback" not in shown


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_real_run_that_is_cut_short_tells_what_was_seen(
    kubelag: Program, old_kubectl: Path, slow_home: Path, fifo: Path, number: signal.Signals
) -> None:
    slow = kubelag.having(HOME=slow_home)
    client = script(fifo.parent / "kubectl", _answer(old_kubectl), f"echo up > {fifo}; {RUN}")
    client.write_text(client.read_text().replace("CLIENT", str(old_kubectl)))
    process = slow.start("explain", "--cold", "--format", "json", client, *GET_NODES)
    fifo.read_text()
    done = ended_by(process, number)
    assert done.code == 130, done.err
    assert done.report["command"]["interrupted"]
    assert all(line["verdict"] != "proven" for line in done.report["verdicts"])


RUN = 'exec CLIENT "$@"'


def _answer(client: Path) -> str:
    """A wrapper is asked for its version first, and must not say that it has come so far."""
    return f'case " $* " in *" version "*) exec {client} "$@";; esac'


@pytest.mark.parametrize(
    ("block", "number"),
    [("block 1", signal.SIGINT), ("block 3", signal.SIGTERM)],
)
def test_experiments_that_are_cut_short_report_the_finished_blocks(
    kubelag: Program,
    old_kubectl: Path,
    slow_home: Path,
    block: str,
    number: signal.Signals,
) -> None:
    slow = kubelag.having(HOME=slow_home)
    process = slow.start("explain", "--cold", "--format", "json", old_kubectl, *GET_NODES)
    until_line(process, block)
    done = ended_by(process, number)
    assert done.code == 130
    assert "Traceback" not in done.err
    (line,) = (one for one in done.report["verdicts"] if one["cause"] == "discovery_cache_fsync")
    assert line["verdict"] == "likely"
    assert (line["proof"] is None) == (block == "block 1")
    assert "experiments: interrupted" in done.report["notes"]


def test_what_a_killed_program_leaves_ends_by_itself_or_is_swept_by_the_next_run(
    kubelag: Program, old_kubectl: Path, slow_home: Path
) -> None:
    (slow_home / ".kube").mkdir()
    slow = kubelag.having(HOME=slow_home)
    process = slow.start("explain", "--cold", old_kubectl, *GET_NODES)
    until_line(process, "block 1")
    process.kill()
    process.communicate()
    assert slow.left_processes() == []
    assert slow.left_directories() != []
    slow("explain", "--cold", "--budget", "0.1", old_kubectl, *GET_NODES)
    assert slow.left() == []


def test_nothing_of_a_recording_is_left_in_the_kernel(
    kubelag: Program, fake: Callable[..., Path], fifo: Path
) -> None:
    if why := tracefs.probe():
        pytest.skip(why)
    before = _mounts()
    process = kubelag.start("explain", fake(f"echo up > {fifo}; sleep 1000"), *GET_NODES)
    fifo.read_text()
    ended_by(process, signal.SIGINT)
    assert _mounts() == before


def _mounts() -> list[str]:
    return Path("/proc/self/mounts").read_text().splitlines()
