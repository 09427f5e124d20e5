"""The filter in the kernel. A sync of descriptor -1 tells whether the kernel did the call: without
the filter it is a bad descriptor, with it the call is answered before anybody looks."""

import ctypes
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kubelag.errors import CommandNotFoundError
from kubelag.launch import bpf, no_sync, seccomp

pytestmark = pytest.mark.real

ASK = """
import ctypes, json, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
numbers = json.loads(sys.argv[1])
print(json.dumps({name: libc.syscall(number, -1, 0, 0, 0) for name, number in numbers.items()}))
"""


@pytest.fixture(scope="session")
def sync_calls() -> dict[str, int]:
    arches = {"x86_64": bpf.AUDIT_ARCH_X86_64, "aarch64": bpf.AUDIT_ARCH_AARCH64}
    if platform.machine() not in arches:
        pytest.skip(f"no call numbers for {platform.machine()}")
    if why := seccomp.probe():
        pytest.skip(why)
    calls = dict(bpf.SYNC_CALLS[arches[platform.machine()]])
    del calls["sync"]  # takes no argument that could be wrong
    return calls


def ask(calls: dict[str, int], program: seccomp.Program | None, *before: str) -> dict[str, int]:
    """What the sync calls return in a child under this program."""
    done = subprocess.run(
        [*before, sys.executable, "-c", ASK, json.dumps(calls)],
        check=True,
        capture_output=True,
        text=True,
        preexec_fn=None if program is None else lambda: seccomp.install(program),
    )
    answers: dict[str, int] = json.loads(done.stdout)
    return answers


def test_every_sync_call_is_answered_at_once_in_the_tree(sync_calls: dict[str, int]) -> None:
    program = seccomp.no_sync_program()
    assert ask(sync_calls, program) == dict.fromkeys(sync_calls, 0)
    assert ask(sync_calls, program, "sh", "-c", '"$@"; true', "sh") == dict.fromkeys(sync_calls, 0)


def test_nobody_else_is_affected(sync_calls: dict[str, int]) -> None:
    ask(sync_calls, seccomp.no_sync_program())
    assert ask(sync_calls, None) == dict.fromkeys(sync_calls, -1)


def test_the_placebo_changes_nothing(sync_calls: dict[str, int]) -> None:
    assert ask(sync_calls, seccomp.placebo_program()) == dict.fromkeys(sync_calls, -1)


def test_it_works_without_privilege_and_then_gives_up_gaining_any(
    sync_calls: dict[str, int],
) -> None:
    program = seccomp.no_sync_program()
    read = ["sh", "-c", "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status"]
    privileged = _status(read, program)
    if os.geteuid() != 0:
        assert privileged == {"NoNewPrivs": "1", "Seccomp": "2"}
        return
    assert privileged == {"NoNewPrivs": "0", "Seccomp": "2"}

    def as_nobody() -> None:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        seccomp.install(program)

    found = subprocess.run(read, check=True, capture_output=True, text=True, preexec_fn=as_nobody)
    assert _parse(found.stdout) == {"NoNewPrivs": "1", "Seccomp": "2"}
    assert sync_calls


def _status(argv: list[str], program: seccomp.Program) -> dict[str, str]:
    found = subprocess.run(
        argv,
        check=True,
        capture_output=True,
        text=True,
        preexec_fn=lambda: seccomp.install(program),
    )
    return _parse(found.stdout)


def _parse(text: str) -> dict[str, str]:
    return {line.partition(":")[0]: line.partition(":")[2].strip() for line in text.splitlines()}


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_tracer_still_counts_the_calls_that_were_answered(tmp_path: Path) -> None:
    log = tmp_path / "trace"
    code = "import os; f = os.open('x', os.O_CREAT | os.O_WRONLY); os.fsync(f); os.fdatasync(f)"
    launch = f"import sys; from kubelag.launch.seccomp import *; install(no_sync_program()); {code}"
    subprocess.run(
        ["strace", "-f", "-e", "trace=fsync,fdatasync", "-o", log, sys.executable, "-c", launch],
        check=True,
        cwd=tmp_path,
    )
    lines = [line for line in log.read_text().splitlines() if "sync(" in line]
    assert [line.rpartition("=")[2].strip() for line in lines] == ["0", "0"]


def test_it_installs_in_a_child_without_building_anything(sync_calls: dict[str, int]) -> None:
    """The child between fork and exec makes the calls with what the parent prepared."""
    program = seccomp.no_sync_program()
    pid = os.fork()
    if pid == 0:
        seccomp.install(program)
        os._exit(program.libc.syscall(sync_calls["fsync"], -1))
    assert os.waitpid(pid, 0)[1] == 0


def test_a_missing_command_is_one_sentence() -> None:
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            no_sync.exec_no_sync(["no-such-command-at-all"], {"PATH": "/usr/bin"})
        except CommandNotFoundError as error:
            os.write(write, str(error).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(write)
    assert os.read(read, 1000).startswith(b"no-such-command-at-all: command not found; ")
    os.close(read)


def test_a_machine_of_another_kind_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert seccomp.probe() == (
        "system calls are filtered on x86_64 and aarch64 only, not on riscv64"
    )


def test_a_kernel_that_refuses_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    program = seccomp.no_sync_program()
    monkeypatch.setattr(seccomp, "_set_filter", lambda *_: False)
    ctypes.set_errno(38)
    with pytest.raises(seccomp.SeccompError, match="refused the system call filter"):
        seccomp.install(program)
