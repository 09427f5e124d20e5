"""What a child does before it becomes the command."""

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from kubelag.launch import seccomp
from kubelag.launch.child import Child

needs_seccomp = pytest.mark.skipif(seccomp.probe() is not None, reason=str(seccomp.probe()))
# proc_pid_status(5): 2 is a filter.
FILTERED = "2"


def status_of(child: Child, field: str) -> str:
    argv = ["sh", "-c", f"grep {field}: /proc/self/status"]
    done = subprocess.run(
        argv, capture_output=True, text=True, check=True, preexec_fn=child.before_exec()
    )
    return done.stdout.split()[1]


@needs_seccomp
@pytest.mark.real
@pytest.mark.parametrize("kind", ["no_sync", "placebo"])
def test_only_the_asked_for_filter_is_set(kind: str) -> None:
    unfiltered = status_of(Child(), "Seccomp")
    assert status_of(Child().under(kind), "Seccomp") == FILTERED  # type: ignore[arg-type]
    assert status_of(Child(), "Seccomp") == unfiltered


def test_it_joins_its_groups_itself(tmp_path: Path) -> None:
    groups = (tmp_path / "cpu", tmp_path / "memory")
    for group in groups:
        group.touch()
    child = Child(cgroup_procs=tuple(map(str, groups)), dies_with_us=False)
    subprocess.run(["true"], check=True, preexec_fn=child.before_exec())
    assert [group.read_text() for group in groups] == ["0", "0"]


def test_another_filter_changes_nothing_else() -> None:
    child = Child(cgroup_procs=("/a",), dies_with_us=False)
    assert child.under("placebo") == Child(
        filter="placebo", cgroup_procs=("/a",), dies_with_us=False
    )


@pytest.mark.parametrize("dies", [True, False])
def test_it_ends_with_us_only_if_it_should(*, dies: bool) -> None:
    code = (
        "import subprocess, sys; from kubelag.launch.child import Child;"
        f"prepare = Child(dies_with_us={dies}).before_exec();"
        "argv = ['sh', '-c', 'echo up; read -r _']; pipe = subprocess.PIPE;"
        "child = subprocess.Popen(argv, preexec_fn=prepare, stdin=0, stdout=pipe);"
        "child.stdout.readline(); print(child.pid, flush=True); sys.stdin.read()"
    )
    read, write = os.pipe()
    argv = [sys.executable, "-W", "ignore", "-c", code]
    with subprocess.Popen(argv, stdin=read, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        grandchild = os.pidfd_open(int(process.stdout.readline()))
        process.kill()
    has_ended = bool(select.select([grandchild], [], [], 5 if dies else 0.2)[0])
    os.close(write)  # the other one ends now, since its standard input does
    select.select([grandchild], [], [], 5)
    for fd in (read, grandchild):
        os.close(fd)
    assert has_ended == dies
