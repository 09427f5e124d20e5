"""One timed run: its own cache, its code, its time, and nothing that goes on."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from evidence import cache
from kubelag.experiments.contract import NotApplicableError, Variant
from kubelag.experiments.private_place import own_prefix
from kubelag.experiments.scratch import Scratch
from kubelag.experiments.timing import run_timed
from kubelag.launch import seccomp
from kubelag.launch.child import Child
from program import script

ENV = {"PATH": os.environ["PATH"]}


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Scratch]:
    """Private directories beside a user's cache."""
    root = tmp_path / ".kube/cache"
    root.mkdir(parents=True)
    with Scratch(cache(root=str(root), real_root=str(root))) as made:
        yield made


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """Where the client writes its arguments."""
    return tmp_path / "told"


@pytest.fixture
def client(tmp_path: Path, told: Path) -> str:
    """A client that writes down its arguments and what it finds in its cache."""
    find = f'ls "${{1#--cache-dir=}}" >> {told} 2>&1'
    return str(script(tmp_path / "client", f'echo "$@" >> {told}', find, "exit 4"))


def quiet(_elapsed_s: float) -> None:
    """Hears and says nothing."""


def test_it_runs_with_a_private_cache_and_tells_its_code_and_time(
    client: str, told: Path, scratch: Scratch, tmp_path: Path
) -> None:
    timed = run_timed(Variant(argv=(client, "get", "nodes"), env=ENV), scratch, quiet)
    assert timed.exit_code == 4
    assert timed.wall_ns > 0
    line = told.read_text().splitlines()[0]
    assert line.startswith(f"--cache-dir={tmp_path}/.kube/{own_prefix()}")
    assert line.endswith(" get nodes")


def test_each_run_gets_a_directory_of_its_own(client: str, told: Path, scratch: Scratch) -> None:
    variant = Variant(argv=(client, "get"), env=ENV)
    run_timed(variant, scratch, quiet)
    run_timed(variant, scratch, quiet)
    first, second = told.read_text().splitlines()
    assert first != second


def test_where_the_users_own_cache_is_meant_no_flag_is_added(
    client: str, told: Path, scratch: Scratch
) -> None:
    run_timed(Variant(argv=(client, "get"), env=ENV, cache="own"), scratch, quiet)
    assert told.read_text().splitlines()[0] == "get"


def test_a_cache_that_cannot_be_made_is_no_run(client: str, told: Path) -> None:
    nowhere = Scratch(cache(root="/proc/nowhere/cache", real_root="/proc/nowhere/cache"))
    variant = Variant(argv=(client,), env=ENV, cache="warmed")
    with nowhere, pytest.MonkeyPatch.context() as patch:
        patch.setattr("kubelag.experiments.scratch.memory_place", lambda: None)
        with pytest.raises(NotApplicableError):
            run_timed(variant, nowhere, quiet)
    assert not told.exists()


def test_neither_its_words_nor_its_questions_reach_the_user(
    tmp_path: Path, scratch: Scratch, capfd: pytest.CaptureFixture[str]
) -> None:
    asking = script(tmp_path / "asking", "echo out; echo err >&2; read -r answer && exit 1; exit 0")
    assert run_timed(Variant(argv=(str(asking),), env=ENV), scratch, quiet).exit_code == 0
    assert capfd.readouterr() == ("", "")


def test_an_interruption_ends_it_with_all_that_it_started(tmp_path: Path, scratch: Scratch) -> None:
    pids = tmp_path / "pids"
    lines = ("trap '' TERM", "sleep 1000 &", f"echo $$ $! > {pids}.new", f"mv {pids}.new {pids}")
    client = script(tmp_path / "client", *lines, "wait")

    def tick(_elapsed_s: float) -> None:
        if pids.exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_timed(Variant(argv=(str(client),), env=ENV), scratch, tick)
    assert [pid for pid in pids.read_text().split() if Path("/proc", pid, "exe").exists()] == []


@pytest.mark.real
@pytest.mark.skipif(seccomp.probe() is not None, reason=str(seccomp.probe()))
def test_it_runs_under_the_filter_that_is_asked_for(tmp_path: Path, scratch: Scratch) -> None:
    client = script(tmp_path / "client", "grep -q 'Seccomp:.2' /proc/self/status")
    filtered = Variant(argv=(str(client),), env=ENV, child=Child().under("no_sync"))
    assert run_timed(filtered, scratch, quiet).exit_code == 0


@pytest.mark.parametrize("keeps", [True, False])
def test_how_it_complains_is_kept_without_figures_where_it_is_wanted(
    tmp_path: Path, scratch: Scratch, keeps: bool
) -> None:
    words = ("echo 'I0101 12:00:00 first' >&2", "echo 'dial tcp 10.0.0.1:6443: refused' >&2")
    client = str(script(tmp_path / "complaining", *words, "echo ' ' >&2", "exit 1"))
    variant = Variant(argv=(client,), env=ENV, cache="own", keeps_complaint=keeps)
    complaint = run_timed(variant, scratch, quiet).complaint
    assert complaint == ("dial tcp # refused" if keeps else "")


def test_a_long_complaint_is_read_to_its_end_alone(tmp_path: Path, scratch: Scratch) -> None:
    flood = "head -c 3000000 /dev/zero | tr '\\0' 'x' >&2"
    client = str(script(tmp_path / "flooding", flood, "echo >&2", "echo 'at last' >&2", "exit 1"))
    variant = Variant(argv=(client,), env=ENV, cache="own", keeps_complaint=True)
    assert run_timed(variant, scratch, quiet).complaint == "at last"
