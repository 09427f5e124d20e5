"""The process tree sampler on real processes."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from kubelag.observe import proc_text, process_tree
from kubelag.observe.process_tree import TreeSampler

DEADLINE_S = 20.0

WORK = """
import os, subprocess, sys, threading
def burn():
    data = bytearray(8 << 20)
    for _ in range(40): sum(range(20_000))
    return data
threads = [threading.Thread(target=burn) for _ in range(4)]
for one in threads: one.start()
for one in threads: one.join()
subprocess.run([sys.executable, "-I", "-S", "-c", "sum(range(2_000_000))"])
print("done", flush=True)
sys.stdin.read()
"""


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        pause.wait(0.005)


def start(script: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def test_the_tree_has_used_what_the_kernel_says_at_its_end() -> None:
    with start(WORK) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        sampler = TreeSampler(lambda: [child.pid])
        sampler.start()
        assert child.stdout.readline() == b"done\n"
        child.stdin.close()
        _, status, rusage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        end_ns = time.time_ns()
        samples, _, look = sampler.finish(rusage, end_ns)
    last = samples[-1]
    used_ns = (rusage.ru_utime + rusage.ru_stime) * 1e9
    assert look.state == "looked"
    assert last.at_ns == end_ns
    # Ticks of 10 ms and a sample before the end: never much more than the kernel's own sum.
    assert used_ns <= last.cpu_ns + 1_000 <= used_ns * 1.2 + 30_000_000
    assert rusage.ru_minflt <= last.minor_faults <= rusage.ru_minflt * 1.1


def test_counters_never_go_back_and_time_goes_on() -> None:
    with start(WORK) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        sampler = TreeSampler(lambda: [child.pid], interval_s=0.002)
        sampler.start()
        child.stdout.readline()
        child.stdin.close()
        child.wait()
        samples, _, _ = sampler.finish()
    assert len(samples) >= 2
    for before, after in pairwise(samples):
        assert after.at_ns > before.at_ns
        assert after.cpu_ns >= before.cpu_ns
        assert after.run_queue_ns >= before.run_queue_ns
        assert after.minor_faults >= before.minor_faults


def test_children_are_told_with_program_and_parent_and_never_with_arguments() -> None:
    script = (
        "import subprocess, sys\n"
        "child = subprocess.Popen(['/bin/cat', '-', '/secret'], stdin=subprocess.PIPE)\n"
        "print(child.pid, flush=True)\n"
        "sys.stdin.read()\n"
        "child.kill(); child.wait()"
    )
    with start(script) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        grandchild = int(child.stdout.readline())
        sampler = TreeSampler(lambda: [child.pid])
        sampler.start()
        child.stdin.close()
        child.wait()
        _, processes, _ = sampler.finish()
    by_pid = {one.pid: one for one in processes}
    assert by_pid[grandchild].parent_pid == child.pid
    assert by_pid[grandchild].program == os.path.realpath("/bin/cat")
    assert by_pid[child.pid].parent_pid is None
    assert "secret" not in repr(processes)
    assert by_pid[child.pid].end_ns is not None


def test_what_a_process_was_before_its_exec_is_not_part_of_its_chain() -> None:
    script = "import os, sys; sys.stdin.read(); os.execv('/bin/cat', ['cat', sys.argv[1]])"
    read, write = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", script, f"/dev/fd/{read}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        pass_fds=(read,),
    ) as child:
        assert child.stdin is not None
        sampler = TreeSampler(lambda: [child.pid], interval_s=0.002)
        sampler.start()
        child.stdin.close()
        cat = os.path.realpath("/bin/cat")
        wait_until(lambda: os.path.realpath(f"/proc/{child.pid}/exe") == cat)
        seen = sampler._seen[child.pid]
        wait_until(lambda: seen.chain[-1:] == [cat])
        os.close(write)
        child.wait()
        os.close(read)
        _, processes, _ = sampler.finish()
    assert processes[0].chain == (cat,)


def test_a_process_that_was_gone_at_once_is_not_healthy() -> None:
    child = subprocess.Popen(["/bin/true"])
    child.wait()
    sampler = TreeSampler(lambda: [child.pid])
    sampler.start()
    samples, processes, look = sampler.finish()
    assert (samples, processes, look.state) == ((), (), "could_not_look")


def test_a_root_may_come_later() -> None:
    roots: list[int] = []
    with start("import sys; sys.stdin.read()") as child:
        assert child.stdin is not None
        sampler = TreeSampler(lambda: roots, interval_s=0.002)
        sampler.start()
        assert sampler._samples == []
        roots.append(child.pid)
        wait_until(lambda: bool(sampler._samples))
        child.stdin.close()
        child.wait()
        _, processes, _ = sampler.finish()
    assert [one.pid for one in processes] == [child.pid]


def test_a_kernel_without_lists_of_children_is_searched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = (
        "import subprocess, sys\n"
        "child = subprocess.Popen(['/bin/cat'], stdin=subprocess.PIPE)\n"
        "print(child.pid, flush=True)\n"
        "sys.stdin.read()\n"
        "child.kill(); child.wait()"
    )
    monkeypatch.setattr(process_tree, "_has_children_files", lambda _root: False)
    with start(script) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        grandchild = int(child.stdout.readline())
        sampler = TreeSampler(lambda: [child.pid])
        sampler.start()
        child.stdin.close()
        child.wait()
        _, processes, _ = sampler.finish()
    assert {one.pid for one in processes} == {child.pid, grandchild}


@pytest.mark.real
def test_a_tracer_is_not_part_of_the_tree(tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    argv = [strace, "-D", "-f", "-qq", "-o", str(tmp_path / "log"), "/bin/cat"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdin is not None
        wait_until(lambda: os.path.realpath(f"/proc/{child.pid}/exe") != os.path.realpath(strace))
        status = Path(f"/proc/{child.pid}/status").read_text("ascii")
        tracer = proc_text.parse_tracer(status)
        # For a moment, before it traces, it is its tracee's own child and may have been seen so.
        sampler = TreeSampler(lambda: [child.pid, tracer])
        sampler.start()
        child.stdin.close()
        child.wait()
        _, processes, _ = sampler.finish()
    assert tracer
    assert [one.pid for one in processes] == [child.pid]


@pytest.mark.real
def test_twenty_threads_cost_less_than_three_percent_of_a_processor() -> None:
    script = (
        "import sys, threading\n"
        "gate = threading.Event()\n"
        "for _ in range(20): threading.Thread(target=gate.wait).start()\n"
        "print('up', flush=True)\n"
        "sys.stdin.read()\n"
        "gate.set()"
    )
    with start(script) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        sampler = TreeSampler(lambda: [child.pid])
        sampler.start()
        wait_until(lambda: len(sampler._samples) >= 25)
        child.stdin.close()
        child.wait()
        sampler.finish()
    assert sampler._pace.cost_ratio < 0.03 + 0.01  # the first sample opens every file
