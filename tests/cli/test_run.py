"""`kubelag run`: the launcher as its user meets it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kubelag.launch import seccomp

KUBELAG = (sys.executable, "-m", "kubelag")


def kubelag(*words: str, **more: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*KUBELAG, *words], capture_output=True, text=True, check=False, **more)  # type: ignore[call-overload,no-any-return]


@pytest.fixture
def fake_kubectl(tmp_path: Path) -> Path:
    program = tmp_path / "kubectl"
    program.write_text('#!/bin/sh\necho "ran $*"\n')
    program.chmod(0o755)
    return program


needs_seccomp = pytest.mark.skipif(seccomp.probe() is not None, reason=str(seccomp.probe()))


@needs_seccomp
@pytest.mark.real
def test_the_command_takes_over_streams_and_exit_code() -> None:
    done = kubelag(
        "run", "--no-sync", "--i-know", "--", "sh", "-c", "cat; echo e >&2; exit 7", input="in"
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, "in", "e\n")


@needs_seccomp
@pytest.mark.real
def test_the_command_dies_of_its_own_signal_and_finds_sigpipe_as_usual() -> None:
    assert (
        kubelag("run", "--no-sync", "--i-know", "sh", "-c", "kill -TERM $$").returncode
        == -signal.SIGTERM
    )
    ignored = kubelag("run", "--no-sync", "--i-know", "sh", "-c", "grep SigIgn /proc/self/status")
    mask = int(ignored.stdout.split()[1], 16)
    assert not mask & (1 << (signal.SIGPIPE - 1))
    assert not mask & (1 << (signal.SIGXFSZ - 1))


@needs_seccomp
@pytest.mark.real
def test_it_is_the_same_process_with_the_same_environment() -> None:
    env = {"PATH": os.environ["PATH"], "A": "b"}
    with subprocess.Popen(
        [*KUBELAG, "run", "--no-sync", "--i-know", "--", "sh", "-c", "echo $$; env"],
        stdout=subprocess.PIPE,
        text=True,
        env=env,
    ) as process:
        lines = (process.stdout or sys.stdin).read().splitlines()
    assert lines[0] == str(process.pid)
    inherited = {
        line for line in lines[1:] if line.partition("=")[0] not in {"PWD", "_", "SHLVL", "OLDPWD"}
    }
    assert inherited == {f"PATH={env['PATH']}", "A=b"}


@needs_seccomp
@pytest.mark.real
def test_a_reading_kubectl_command_runs(fake_kubectl: Path) -> None:
    done = kubelag("run", "--no-sync", "--", str(fake_kubectl), "get", "nodes")
    assert (done.returncode, done.stdout) == (0, "ran get nodes\n")


@pytest.mark.parametrize("words", [("delete", "pod", "x"), ("get", "pods", "-w"), ("neat",)])
def test_a_command_that_may_do_more_is_refused_in_one_sentence(
    fake_kubectl: Path, words: tuple[str, ...]
) -> None:
    done = kubelag("run", "--no-sync", "--", str(fake_kubectl), *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        "kubelag: this command is not known to write nothing but caches: "
    )
    assert "--i-know" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_kubectl_plugin_and_other_programs_are_refused() -> None:
    for program in ("kubectl-neat", "psql"):
        assert kubelag("run", "--no-sync", program, "get").returncode == 1


def test_without_no_sync_it_says_what_it_can_do() -> None:
    done = kubelag("run", "--", "true")
    assert done.returncode == 2
    assert "kubelag run --no-sync -- kubectl get nodes" in done.stderr
    assert kubelag("run", "--no-sync").returncode == 2


@needs_seccomp
@pytest.mark.real
def test_a_command_that_is_not_there_has_the_code_of_a_shell(tmp_path: Path) -> None:
    assert kubelag("run", "--no-sync", "--i-know", "no-such-command").returncode == 127
    (tmp_path / "plain").write_text("x")
    assert kubelag("run", "--no-sync", "--i-know", str(tmp_path / "plain")).returncode == 126


def test_starting_it_loads_nothing_heavy() -> None:
    code = (
        "import sys; from kubelag.cli.main import build_parser; build_parser('run');"
        "heavy = {'rich', 'numpy', 'psutil', 'yaml', 'msgspec', 'ctypes', 'subprocess'};"
        "print(*(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
