"""`kubelag lab` as its user meets it."""

import os
import shlex
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kubelag.lab.ha.building import why_no_ha
from kubelag.lab.mounts import mounts_below
from kubelag.lab.slow_directory import why_no_slow_disk
from kubelag.lab.state import STATE_VARIABLE
from kubelag.lab.waiting import is_met_within

pytestmark = pytest.mark.real
KUBELAG = (sys.executable, "-m", "kubelag")
MARK = "KUBELAG_TEST_LAB"
TIMEOUT_S = 120
BUSY_PERCENT = 5.0
"""Above that, others use this machine so much that `cpu_contended` is no lie. Found by trial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody with a lab of his own; all that he starts carries his mark."""

    state: Path
    cache: Path
    mark: str

    @property
    def environment(self) -> dict[str, str]:
        home = self.state.parent / "home"
        home.mkdir(exist_ok=True)
        places = {STATE_VARIABLE: self.state, "HOME": home, "XDG_CACHE_HOME": self.cache}
        return os.environ | {MARK: self.mark, **{name: str(path) for name, path in places.items()}}

    def types(self, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            (*KUBELAG, "lab", *words),
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    def interrupts(
        self, *words: str, at: str, once_runs: str = "", by: signal.Signals = signal.SIGINT
    ) -> "subprocess.CompletedProcess[str]":
        """Press Ctrl-C as soon as it says that it is at this point, and has started a program."""
        with subprocess.Popen(
            (*KUBELAG, "lab", *words),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        ) as process:
            assert process.stderr
            before = []
            for line in process.stderr:
                before.append(line)
                if line.startswith(f"kubelag: {at}"):
                    assert is_met_within(lambda: self.has_started(once_runs), TIMEOUT_S)
                    os.killpg(process.pid, by)
                    break
            out, err = process.communicate(timeout=TIMEOUT_S)
        return subprocess.CompletedProcess(words, process.returncode, out, "".join(before) + err)

    def has_started(self, program: str) -> bool:
        """Whether a process of the lab runs such a program; true for no name."""
        return any(program in _read(f"/proc/{pid}/cmdline") for pid in self.processes())

    def processes(self) -> list[str]:
        """Process ids of all that this user has started, and of what has its home in the lab."""
        pids = [name for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - names
        told = {pid: _read(f"/proc/{pid}/environ") for pid in pids}
        return [pid for pid in pids if self.mark in told[pid] or str(self.state) in told[pid]]

    def left(self) -> list[str]:
        """Processes, mounts and files that are still there."""
        mounts = [mount.mount_point for mount in mounts_below(self.state)]
        return [*self.processes(), *mounts, *map(str, self.state.glob("*"))]


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


@pytest.fixture
def user(tmp_path: Path, lab_cache: Path) -> Iterator[User]:
    user = User(state=tmp_path / "state", cache=lab_cache, mark=uuid.uuid4().hex)
    yield user
    user.types("down")
    assert user.left() == []


def test_a_lab_goes_up_is_used_and_goes_down(user: User, new_kubectl: Path) -> None:
    up = user.types("up", "--fsync-ms", "5", "--group-versions", "40")
    assert (up.returncode, up.stdout.splitlines()[0][:22]) == (0, "The lab is up: https:/")
    assert user.types("status").returncode == 0
    again = user.types("up")
    assert again.returncode == 1
    assert again.stderr.endswith("up already; see: kubelag lab status; or: kubelag lab down\n")

    shell = f"{shlex.join(KUBELAG)} lab env > env && . ./env && exec {new_kubectl} get nodes"
    used = subprocess.run(
        ("sh", "-c", shell),
        env=user.environment,
        cwd=user.state.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "node1" in used.stdout

    assert user.types("down").stdout == "The lab is down.\n"
    assert user.types("down").stdout == "No lab was up.\n"
    assert user.left() == []


def test_a_shell_in_the_lab_finds_the_lab_although_its_home_is_another(user: User) -> None:
    assert user.types("up", "--disk", "none").returncode == 0
    lines = user.types("env").stdout.splitlines()
    words = [line.removeprefix("export ") for line in lines if line.startswith("export ")]
    exported = dict(word.split("=", 1) for word in words)
    assert exported["HOME"] != user.environment["HOME"]
    assert user.types("status", **exported).returncode == 0
    assert user.types("down", **exported).stdout == "The lab is down.\n"


def test_without_a_lab_its_status_and_environment_say_how_to_get_one(user: User) -> None:
    status, env = user.types("status"), user.types("env")
    assert (status.returncode, env.returncode) == (3, 1)
    assert "kubelag lab up" in status.stdout
    assert "kubelag lab up" in env.stderr


@pytest.mark.parametrize("at", ["making the slow disk", "the disk is", "starting the embedded"])
def test_ctrl_c_while_the_lab_comes_up_leaves_nothing(user: User, at: str) -> None:
    done = user.interrupts("up", "--fsync-ms", "5", at=at)
    assert (done.returncode, done.stdout) == (128 + signal.SIGINT, "")
    assert done.stderr.endswith("kubelag: interrupted\n")
    assert user.left() == []


@pytest.mark.parametrize(
    ("fault", "at", "once_runs"),
    [
        ("discovery_cache_fsync", "making the fault", ""),
        ("discovery_cache_fsync", "watching one run", "get\0nodes"),
        ("credential_plugin_slow", "watching one run", "lab-login"),
        ("credential_plugin_slow", "experiments", "lab-login"),
    ],
)
@pytest.mark.usefixtures("old_kubectl")
def test_ctrl_c_during_a_fault_leaves_nothing(
    user: User, fault: str, at: str, once_runs: str
) -> None:
    if fault == "discovery_cache_fsync" and (obstacle := why_no_slow_disk()):
        pytest.skip(obstacle)
    done = user.interrupts("run", fault, at=at, once_runs=once_runs)
    assert done.returncode == 128 + signal.SIGINT, done.stderr
    assert "Traceback" not in done.stderr
    assert user.left() == []


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGHUP])
def test_a_terminal_that_goes_away_during_a_fault_leaves_nothing(
    user: User, by: signal.Signals
) -> None:
    once_runs = "lab-login"
    done = user.interrupts(
        "run", "credential_plugin_slow", at="watching one run", once_runs=once_runs, by=by
    )
    assert done.returncode == 128 + signal.SIGINT, done.stderr
    assert "Traceback" not in done.stderr
    assert user.left() == []


def test_the_kubectls_at_hand_are_listed_oldest_first(user: User, new_kubectl: Path) -> None:
    listed = user.types("kubectl").stdout.splitlines()
    assert any(line.endswith(str(new_kubectl)) for line in listed)
    versions = [tuple(map(int, line.split()[0].split("."))) for line in listed]
    assert versions == sorted(versions)
    assert user.types("kubectl", "newest").stdout.strip() == listed[-1].split()[-1]


def test_a_kubectl_that_nobody_has_is_one_sentence_with_a_next_step(user: User) -> None:
    done = user.types("kubectl", "9.9.9")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("kubelag: ")
    assert "give a kubectl by its path" in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_a_name_the_faults_are_listed(user: User) -> None:
    assert "discovery_cache_fsync | incident" in user.types("run").stdout
    assert user.types("run", "gremlins").returncode == 1


def test_where_nothing_is_slow_nobody_is_accused(user: User) -> None:
    busy_percent = others_use_percent()
    done = user.types("run", "nothing")
    if done.returncode and busy_percent > BUSY_PERCENT and "cpu_contended" in done.stderr:
        pytest.skip(f"others keep this machine busy (PSI {busy_percent:g} %)")
    assert done.returncode == 0, done.stderr


@pytest.fixture
def ha_user(user: User) -> User:
    if obstacle := why_no_ha():
        pytest.skip(f"no HA lab here: {obstacle}")
    return user


def test_the_ha_lab_goes_up_is_looked_around_in_and_goes_down(
    ha_user: User, new_kubectl: Path
) -> None:
    up = ha_user.types("up", "--topology", "ha", "--group-versions", "40")
    assert up.returncode == 0, up.stderr
    assert "kubelag lab exec -- kubectl get nodes" in up.stdout
    status = ha_user.types("status")
    assert status.returncode == 0
    assert "Shared address: 10.75.0.10, on master1\n" in status.stdout
    assert "Fault: none\n" in status.stdout
    nodes = ha_user.types("exec", "--", str(new_kubectl), "get", "nodes")
    assert "node1" in nodes.stdout, nodes.stderr
    shown = ha_user.types("exec", "--node", "master1", "--", "ip", "address")
    assert "10.75.0.10/24" in shown.stdout
    assert ha_user.types("exec", "--", "sh", "-c", "exit 7").returncode == 7
    env = ha_user.types("env")
    assert (env.returncode, env.stdout) == (1, "")
    assert "kubelag lab exec" in env.stderr
    assert ha_user.types("down").stdout == "The lab is down.\n"
    assert ha_user.left() == []


def test_a_fault_is_put_in_told_and_taken_out_by_three_commands(ha_user: User) -> None:
    assert ha_user.types("up", "--topology", "ha", "--group-versions", "40").returncode == 0
    on = ha_user.types("fault", "slow-backend", "on")
    assert on.returncode == 0, on.stderr
    assert on.stdout.startswith("slow_backend is on: master2 answers in 1.")
    assert "kubelag lab exec -- env DISABLE_HTTP2=1 kubelag explain --cold -- " in on.stdout
    assert "Fault: slow_backend\n" in ha_user.types("status").stdout
    again = ha_user.types("fault", "slow-backend", "on")
    assert again.returncode == 1
    assert again.stderr.endswith("first: kubelag lab fault slow_backend off\n")
    run = ha_user.types("run", "api_slow")
    assert (run.returncode, "slow_backend is on" in run.stderr) == (1, True)
    assert ha_user.types("fault", "slow_backend", "off").stdout == "slow_backend is off.\n"
    off = ha_user.types("fault", "slow_backend", "off")
    assert (off.returncode, off.stdout) == (0, "slow_backend was off already.\n")
    assert "Fault: none\n" in ha_user.types("status").stdout


def test_every_fault_of_the_ha_lab_says_how_to_see_it(ha_user: User) -> None:
    listed = ha_user.types("faults").stdout
    assert "dead_backend\n" in listed
    assert listed.count("topology ha") == listed.count("see it: kubelag lab exec ")


def test_without_a_ha_lab_its_commands_say_how_to_get_one(ha_user: User) -> None:
    for words in (("exec", "--", "true"), ("fault", "dead_backend", "on")):
        done = ha_user.types(*words)
        assert done.returncode == 1
        assert done.stderr.endswith("bring one up: kubelag lab up --topology ha\n")
    assert "did you mean dead_backend or" in ha_user.types("fault", "dead_bakend", "on").stderr


def others_use_percent() -> float:
    """How much of the last ten seconds somebody waited for a processor."""
    try:
        text = Path("/proc/pressure/cpu").read_text()
    except OSError:
        return 0.0
    return float(text.split("avg10=")[1].split()[0])
