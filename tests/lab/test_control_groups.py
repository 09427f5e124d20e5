"""Control groups: made, joined by the command itself, removed."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubelag.errors import LabError
from kubelag.lab.cgroups import (
    Cgroup,
    cgroup_path,
    find_hierarchy,
    joining,
    make_cgroup,
    remove_cgroup,
)
from kubelag.lab.state import Ledger


@pytest.fixture
def cgroup(tmp_path: Path) -> Iterator[Cgroup]:
    try:
        hierarchy = find_hierarchy("cpu")
    except LabError as error:
        pytest.skip(f"no control groups: {error}")
    with Ledger.open(tmp_path / "state") as ledger:
        name = f"kubelag-test-{ledger.token}"
        ledger.will_make("cgroup", path=str(cgroup_path(hierarchy, name)))
        yield make_cgroup(hierarchy, name)


def test_without_a_group_nothing_is_put_before_the_command() -> None:
    assert joining([]) == ()


@pytest.mark.real
def test_a_command_joins_before_it_runs_and_stays_the_same_process(cgroup: Cgroup) -> None:
    words = joining([cgroup.procs])
    done = subprocess.run(
        (*words, "cat", "/proc/self/cgroup"), capture_output=True, text=True, check=True
    )
    assert cgroup.path.name in done.stdout


def test_a_command_that_cannot_join_does_not_run(tmp_path: Path) -> None:
    words = joining([tmp_path / "missing" / "cgroup.procs"])
    done = subprocess.run((*words, "echo", "ran"), capture_output=True, text=True, check=False)
    assert done.returncode == 125
    assert "ran" not in done.stdout


@pytest.mark.real
def test_a_processor_limit_is_what_the_kernel_has(cgroup: Cgroup) -> None:
    cgroup.limit_cpu(0.1)
    name = "cpu.cfs_quota_us" if cgroup.version == 1 else "cpu.max"
    assert (cgroup.path / name).read_text().split()[0] == "10000"


@pytest.mark.real
def test_a_group_with_members_is_emptied_and_removed(cgroup: Cgroup) -> None:
    with subprocess.Popen((*joining([cgroup.procs]), "cat"), stdin=subprocess.PIPE) as member:
        cgroup.procs.write_text(str(member.pid))
        remove_cgroup(cgroup.path)
        assert not cgroup.path.exists()
        assert member.poll() is None
        member.kill()
    remove_cgroup(cgroup.path)


def test_a_controller_that_nobody_may_write_is_an_error_with_a_next_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(LabError, match=r"run the lab as root|run the lab on a host"):
        find_hierarchy("cpu")
