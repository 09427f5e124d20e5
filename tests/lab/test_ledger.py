"""The ledger: everything the lab makes is written down first, and undone from there."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubelag.errors import LabError
from kubelag.lab.processes import TOKEN_VARIABLE, find_marked, identity_of, is_running, spawn
from kubelag.lab.state import JOURNAL, Ledger, reap_abandoned, state_directory


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "state" / "one") as opened:
        yield opened


def sleeper(ledger: Ledger, tmp_path: Path) -> int:
    """A process that carries the ledger's mark and is not written down."""
    environment = os.environ | ledger.environment
    return spawn(("sleep", "600"), log=tmp_path / "log", environment=environment).pid


def test_what_is_made_in_a_ledger_is_gone_at_its_end(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "state") as ledger:
        made = ledger.make_directory(tmp_path / "made")
        (made / "file").touch()
        ledger.made_process(identity := identity_of(sleeper(ledger, tmp_path)))
    assert not made.exists()
    assert not is_running(identity)
    assert not (tmp_path / "state").exists()


def test_a_ledger_is_undone_when_its_owner_is_interrupted(tmp_path: Path) -> None:
    def make_and_stop() -> None:
        with Ledger.open(tmp_path / "state") as ledger:
            ledger.make_directory(tmp_path / "made")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_and_stop()
    assert not (tmp_path / "made").exists()


@pytest.fixture
def another_thread() -> Iterator[None]:
    """One that the kernel may give our signals to, as the thread that draws the progress."""
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    yield
    ended.set()
    thread.join()


@pytest.mark.usefixtures("another_thread")
def test_ctrl_c_during_the_clean_up_waits_until_it_is_through(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ledger.make_directory(tmp_path / "first")
    ledger.make_directory(tmp_path / "second")

    def find_none(*_: object) -> tuple[()]:
        os.kill(os.getpid(), signal.SIGINT)
        return ()

    monkeypatch.setattr("kubelag.lab.reaper.processes.find_marked", find_none)
    with pytest.raises(KeyboardInterrupt):
        ledger.reap()
    assert not first.exists()
    assert ledger.entries == ()


def test_a_process_that_starts_another_when_it_is_ended_leaves_none(
    ledger: Ledger, tmp_path: Path
) -> None:
    again = "trap 'sleep 600 & exit' TERM; sleep 600 & wait"
    environment = os.environ | ledger.environment
    spawn(("sh", "-c", again), log=tmp_path / "log", environment=environment)
    ledger.reap()
    assert find_marked(ledger.token) == ()


def test_only_what_was_made_between_two_marks_is_undone(ledger: Ledger, tmp_path: Path) -> None:
    before = ledger.make_directory(tmp_path / "before")
    start = ledger.mark()
    between = ledger.make_directory(tmp_path / "between")
    end = ledger.mark()
    after = ledger.make_directory(tmp_path / "after")
    ledger.reap(range(start, end))
    assert (before.exists(), between.exists(), after.exists()) == (True, False, True)


def test_undoing_twice_is_harmless(ledger: Ledger, tmp_path: Path) -> None:
    ledger.make_directory(tmp_path / "made")
    ledger.reap()
    ledger.reap()
    assert ledger.entries == ()


def test_a_thing_that_was_written_down_and_never_made_is_no_problem(
    ledger: Ledger, tmp_path: Path
) -> None:
    ledger.will_make("directory", path=str(tmp_path / "never"))
    ledger.will_make("mount", path=str(tmp_path / "never"))
    ledger.will_make("loop", backing=str(tmp_path / "never"))
    ledger.will_make("cgroup", path=str(tmp_path / "never"))
    ledger.will_make("process", pid=2**22 + 1, start_ticks=1)
    ledger.reap()
    assert ledger.entries == ()


def test_a_directory_that_exists_already_is_never_taken_over(
    ledger: Ledger, tmp_path: Path
) -> None:
    (tmp_path / "users").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "users")
    for name in ("users", "link"):
        with pytest.raises(LabError, match="exists already"):
            ledger.make_directory(tmp_path / name)
    ledger.reap()
    assert (tmp_path / "users").is_dir()


def test_a_process_that_got_a_recycled_pid_is_spared(ledger: Ledger, tmp_path: Path) -> None:
    stranger = spawn(("sleep", "600"), log=tmp_path / "log", environment=os.environ)
    ledger.will_make("process", pid=stranger.pid, start_ticks=stranger.start_ticks - 1)
    ledger.reap()
    assert is_running(stranger)
    ledger.made_process(stranger)
    ledger.reap()
    assert not is_running(stranger)


def test_a_marked_process_is_ended_even_if_nobody_wrote_it_down(
    ledger: Ledger, tmp_path: Path
) -> None:
    sleeper(ledger, tmp_path)
    assert len(find_marked(ledger.token)) == 1
    ledger.reap()
    assert find_marked(ledger.token) == ()


def test_we_ourselves_carry_no_fatal_mark() -> None:
    script = (
        "import os, sys; from kubelag.lab.processes import find_marked; "
        f"sys.exit(len(find_marked(os.environ['{TOKEN_VARIABLE}'])))"
    )
    environment = os.environ | {TOKEN_VARIABLE: "a-mark"}
    assert (
        subprocess.run((sys.executable, "-c", script), env=environment, check=False).returncode == 0
    )


def test_a_ledger_serves_one_process_at_a_time(ledger: Ledger) -> None:
    with pytest.raises(LabError, match="Another lab is at work"):
        Ledger.open(ledger.directory)


def test_a_ledger_can_be_read_by_the_next_process(tmp_path: Path) -> None:
    first = Ledger.open(tmp_path / "state")
    first.make_directory(tmp_path / "made")
    first.complete(url="https://127.0.0.1:1")
    first.close()
    second = Ledger.open(tmp_path / "state")
    assert second.token == first.token
    assert second.entries == first.entries
    assert second.completed == {"url": "https://127.0.0.1:1"}
    second.reap()
    assert second.completed is None
    second.close()


def test_a_line_torn_by_a_crash_is_left_out_and_does_not_spoil_the_next(tmp_path: Path) -> None:
    first = Ledger.open(tmp_path / "state")
    first.make_directory(tmp_path / "made")
    first.close()
    with (tmp_path / "state" / JOURNAL).open("a") as journal:
        journal.write('{"number": 2, "kind": "dir')
    second = Ledger.open(tmp_path / "state")
    second.make_directory(tmp_path / "more")
    second.close()
    with Ledger.open(tmp_path / "state") as third:
        assert [Path(entry.facts["path"]).name for entry in third.entries] == ["made", "more"]


def test_after_a_reboot_only_directories_are_still_ours(tmp_path: Path) -> None:
    first = Ledger.open(tmp_path / "state")
    stranger = spawn(("sleep", "600"), log=tmp_path / "log", environment=os.environ)
    made = first.make_directory(tmp_path / "made")
    first.made_process(stranger)
    first.close()
    journal = tmp_path / "state" / JOURNAL
    lines = journal.read_text().splitlines()
    header = json.loads(lines[0]) | {"boot": "another-boot"}
    journal.write_text("\n".join([json.dumps(header), *lines[1:]]) + "\n")
    with Ledger.open(tmp_path / "state") as second:
        second.reap()
        assert not made.exists()
        assert is_running(stranger)
        with Ledger.open(tmp_path / "other") as other:
            other.made_process(stranger)


def test_what_will_not_go_stays_written_down(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.make_directory(tmp_path / "made")

    def refuse(_path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path / "made"))

    with monkeypatch.context() as patched:
        patched.setattr("kubelag.lab.reaper.shutil.rmtree", refuse)
        with pytest.raises(LabError, match="Permission denied"):
            ledger.reap()
    assert len(ledger.entries) == 1


def test_a_kind_that_cannot_be_undone_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LabError, match="cannot undo a wormhole"):
        ledger.will_make("wormhole", path="/")


def test_abandoned_labs_are_cleaned_up_and_living_ones_left_alone(tmp_path: Path) -> None:
    state = tmp_path / "state"
    crashed = Ledger.open(state / "crashed")
    crashed.make_directory(tmp_path / "crashed")
    crashed.close()
    up = Ledger.open(state / "up")
    up.make_directory(tmp_path / "up")
    up.complete()
    up.close()
    with Ledger.open(state / "busy") as busy:
        busy.make_directory(tmp_path / "busy")
        assert reap_abandoned(state) == (state / "crashed",)
        assert not (tmp_path / "crashed").exists()
        assert (tmp_path / "up").exists()
        assert (tmp_path / "busy").exists()


def test_a_state_directory_that_others_can_write_or_that_is_a_link_is_refused(
    tmp_path: Path,
) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(tmp_path / "open")
    for name in ("open", "link"):
        with pytest.raises(LabError, match="not private"):
            Ledger.open(tmp_path / name)


def test_the_state_directory_follows_the_user() -> None:
    assert state_directory({}, is_root=True) == Path("/run/kubelag")
    runtime = {"XDG_RUNTIME_DIR": "/run/user/7", "HOME": "/home/u"}
    assert state_directory(runtime, is_root=False) == Path("/run/user/7/kubelag")
    home = state_directory({"HOME": "/home/u"}, is_root=False)
    assert home == Path("/home/u/.local/state/kubelag")
    with pytest.raises(LabError, match="no place"):
        state_directory({}, is_root=False)
