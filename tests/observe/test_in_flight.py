"""What slow calls act on is seen while they are blocked."""

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.observe import in_flight
from kubelag.observe.call_targets import targets
from kubelag.observe.in_flight import InFlightWatcher, Sighting, parse_socket_address
from kubelag.observe.process_tree import TreeSampler

DEADLINE_S = 20.0


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        pause.wait(0.005)


def itself(pid: int) -> Iterable[int]:
    return (pid,)


def seen_in(
    script: str, name: str, *argv: str, pids: Callable[[int], Iterable[int]] = itself
) -> Sighting:
    """Run a script that blocks in the named call, and look at it."""
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", script, *argv], stdin=subprocess.PIPE
    ) as child:
        watcher = InFlightWatcher(lambda: pids(child.pid))
        found: list[Sighting] = []

        def look() -> bool:
            watcher._tick()
            found.extend(one for _, one in watcher._open.values() if one.name == name)
            return bool(found)

        try:
            wait_until(look)
        finally:
            child.kill()
            watcher._files.close()
        return found[-1]


@pytest.fixture(scope="module", autouse=True)
def _readable() -> None:
    if not targets(os.uname().machine):
        pytest.skip(f"no table of call numbers for {os.uname().machine}")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        try:
            Path(f"/proc/{child.pid}/syscall").read_text("ascii")
        except OSError as error:
            pytest.skip(f"/proc/<pid>/syscall cannot be read here: {error}")
        finally:
            child.kill()


def test_a_path_behind_a_pointer_is_read_from_memory(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ü gate")
    script = "import sys; open(sys.argv[1])"
    assert seen_in(script, "openat", str(tmp_path / "ü gate")).path == str(tmp_path / "ü gate")


def test_a_relative_path_is_told_from_the_working_directory(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    script = "import os, sys; os.chdir(sys.argv[1]); open('gate')"
    assert seen_in(script, "openat", str(tmp_path)).path == str(tmp_path / "gate")


def test_a_relative_path_is_told_from_its_directory_descriptor(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    script = "import os, sys; d = os.open(sys.argv[1], os.O_RDONLY); os.open('gate', 0, dir_fd=d)"
    assert seen_in(script, "openat", str(tmp_path)).path == str(tmp_path / "gate")


def test_a_descriptor_is_looked_up(tmp_path: Path) -> None:
    path = tmp_path / "locked"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        script = "import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX)"
        assert seen_in(script, "flock", str(path)).path == str(path)


def with_children(pid: int) -> Iterable[int]:
    tree = TreeSampler(roots=lambda: (pid,))
    tree.start()
    tree.finish()
    return tree.living


def test_a_child_that_the_process_tree_knows_is_looked_at_too(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    script = "import os, sys\npid = os.fork()\nif pid: os.waitpid(pid, 0)\nelse: open(sys.argv[1])"
    path = str(tmp_path / "gate")
    try:
        assert seen_in(script, "openat", path, pids=with_children).path == path
    finally:
        # The fork outlives its killed parent until its opening succeeds.
        os.close(os.open(path, os.O_RDWR))


def test_a_thread_that_waits_for_nothing_of_interest_is_not_told() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        watcher = InFlightWatcher(lambda: (child.pid,))
        wait_until(lambda: Path(f"/proc/{child.pid}/syscall").read_text("ascii")[:2] == "0 ")
        watcher.start()
        told, look = watcher.stop()
        child.kill()
    assert look.state == "looked"
    assert told == ()


class Fake:
    """A /proc with one thread whose state a test sets."""

    def __init__(self, proc: Path) -> None:
        self.task = proc / "7" / "task" / "7"
        self.task.mkdir(parents=True)
        (proc / "7" / "fd").mkdir()
        for number, name in ((3, "/c/one"), (4, "/c/two")):
            (proc / "7" / "fd" / str(number)).symlink_to(name)
        self.watcher = InFlightWatcher(lambda: (7,), proc=str(proc))

    def looks(self, *states: str, stop: bool = True) -> tuple[Sighting, ...]:
        """What is told after looks that found these states."""
        for state in states:
            if state:
                (self.task / "syscall").write_text(state)
            else:
                shutil.rmtree(self.task)
            self.watcher._tick()
        return self.watcher.stop()[0] if stop else ()


FSYNC_3, FSYNC_4 = (f"74 {fd:#x} 0 0 0 0 0 0x7fff00000000 0x2" for fd in (3, 4))
NOTHING = "202 0x1 0 0 0 0 0 0x7fff00000000 0x2"


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    monkeypatch.setattr(in_flight.platform, "machine", lambda: "x86_64")
    return Fake(tmp_path)


def test_a_call_that_several_looks_found_is_one(fake: Fake) -> None:
    (one,) = fake.looks(NOTHING, FSYNC_3, FSYNC_3, FSYNC_3, NOTHING)
    assert (one.name, one.path) == ("fsync", "/c/one")
    assert one.start_ns < one.first_ns < one.last_ns < one.end_ns


def test_another_file_is_another_call(fake: Fake) -> None:
    told = fake.looks(FSYNC_3, FSYNC_4, NOTHING)
    assert [one.path for one in told] == ["/c/one", "/c/two"]
    assert told[0].end_ns == (told[0].last_ns + told[1].first_ns) // 2


def test_a_descriptor_that_is_another_file_by_now_is_another_call(fake: Fake) -> None:
    fake.looks(FSYNC_3, stop=False)
    link = fake.task.parents[1] / "fd" / "3"
    link.unlink()
    link.symlink_to("/c/other")
    told = fake.looks(FSYNC_3, NOTHING)
    assert [one.path for one in told] == ["/c/one", "/c/other"]


def test_a_32_bit_program_numbers_its_calls_otherwise_and_cannot_be_looked_at(fake: Fake) -> None:
    assert fake.looks(FSYNC_3.replace("0x7fff00000000", "0xffff0000")) == ()
    assert "32-bit" in fake.watcher._look_back().how
    assert fake.watcher._look_back().state == "could_not_look"


def test_what_is_hidden_from_us_is_told(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_flight, "_is_forbidden", lambda _: True)
    fake.looks(NOTHING, stop=False)
    (fake.task / "syscall").unlink()
    fake.watcher._files.close()
    fake.watcher._tick()
    _, look = fake.watcher.stop()
    assert (look.state, look.how.split(" (")[0]) == (
        "could_not_look",
        "1 thread may not be looked at",
    )


def test_a_machine_whose_calls_are_not_known_could_not_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_flight.platform, "machine", lambda: "s390x")
    fake = Fake(tmp_path)
    fake.looks(NOTHING)
    assert fake.watcher._look_back().how == "the numbers of system calls on s390x are not known"


def test_a_thread_that_ended_in_its_call_has_left_it(fake: Fake) -> None:
    (one,) = fake.looks(FSYNC_3, "")
    assert one.end_ns > one.last_ns


def test_a_thread_that_runs_is_in_no_call(fake: Fake) -> None:
    assert fake.looks("running", "running") == ()


def test_where_the_kernel_does_not_tell_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "7" / "task" / "7").mkdir(parents=True)
    watcher = InFlightWatcher(lambda: (7,), proc=str(tmp_path))
    watcher._tick()
    told, look = watcher.stop()
    assert told == ()
    assert look.state == "could_not_look"


def test_every_table_names_the_same_modern_calls() -> None:
    modern = {"fsync", "fdatasync", "syncfs", "openat", "renameat2", "close", "statx", "connect"}
    for machine in ("x86_64", "aarch64"):
        assert modern <= {target.name for target in targets(machine).values()}


def test_a_machine_without_a_table_sees_nothing() -> None:
    assert targets("vax") == {}


def test_the_target_of_a_rename_is_its_new_name() -> None:
    by_name = {target.name: target for target in targets("x86_64").values()}
    assert (by_name["rename"].path, by_name["renameat2"].path) == (1, 3)


def test_socket_addresses_are_read_in_both_families() -> None:
    v4 = struct.pack("=H", socket.AF_INET) + struct.pack(">H", 53) + bytes([10, 0, 0, 1]) + bytes(8)
    v6 = struct.pack("=H", socket.AF_INET6) + struct.pack(">HI", 443, 0) + bytes(15) + b"\x01"
    assert parse_socket_address(v4) == "10.0.0.1:53"
    assert parse_socket_address(v6 + bytes(4)) == "[::1]:443"


@given(st.binary(max_size=40))
def test_junk_is_no_address_or_one(data: bytes) -> None:
    parse_socket_address(data)


@given(st.binary(max_size=200))
def test_junk_in_the_syscall_file_never_raises(data: bytes) -> None:
    in_flight._registers(data)
