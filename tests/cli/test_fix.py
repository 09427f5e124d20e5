"""`kubelag fix` as its user meets it: text, exit codes, JSON; in a home of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kubelag.cli import fix_text
from kubelag.model.remedy import Change, Plan, Status


@pytest.fixture
def home(tmp_path: Path) -> Path:
    http = tmp_path / "home/.kube/cache/http"
    http.mkdir(parents=True)
    (http / "abc").write_text("x")
    (tmp_path / "home").chmod(0o700)
    return tmp_path / "home"


def fix(home: Path, *words: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "kubelag", "fix", *words],
        env={
            "HOME": str(home),
            "XDG_STATE_HOME": str(home.parent / "state"),
            "PATH": os.environ["PATH"],
            **env,
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def tmpfs() -> None:
    done = subprocess.run(
        ["stat", "-f", "-c", "%T", "/dev/shm"], capture_output=True, text=True, check=False
    )
    if done.stdout.strip() != "tmpfs" or not os.access("/dev/shm", os.W_OK):
        pytest.skip("there is no tmpfs at /dev/shm")


@pytest.mark.real
@pytest.mark.usefixtures("tmpfs")
def test_the_way_through_has_the_promised_exit_codes(home: Path) -> None:
    where = ("cache-in-memory", "--scope", "http")
    assert fix(home, "status", *where).returncode == 3
    planned = fix(home, "plan", *where)
    assert planned.returncode == 0
    assert "~ " in planned.stdout
    assert "\x1b" not in planned.stdout
    last = planned.stdout.splitlines()[-1]
    assert last == ("Nothing was changed. To do it: kubelag fix apply cache-in-memory --scope http")
    assert fix(home, "verify", *where).returncode == 1
    applied = fix(home, "apply", *where)
    assert (applied.returncode, applied.stderr) == (0, "")
    assert (home / ".kube/cache/http").is_symlink()
    for action in ("status", "verify", "apply", "plan"):
        assert fix(home, action, *where).returncode == 0, action
    assert fix(home, "undo", *where).returncode == 0
    assert not (home / ".kube/cache/http").is_symlink()
    assert fix(home, "status", *where).returncode == 3
    assert fix(home, "undo", *where).returncode == 0


@pytest.mark.real
@pytest.mark.usefixtures("tmpfs")
def test_plan_and_status_speak_json(home: Path) -> None:
    planned = json.loads(fix(home, "plan", "cache-in-memory", "--format", "json").stdout)
    assert planned["remedy"] == "cache-in-memory"
    assert {"what", "path", "before", "after"} == set(planned["changes"][0])
    status = json.loads(fix(home, "status", "cache-in-memory", "--format", "json").stdout)
    assert status["state"] == "not_applied"


def test_alone_it_lists_every_remedy_with_its_standing(home: Path) -> None:
    done = fix(home)
    assert (done.returncode, done.stderr) == (0, "")
    listed = json.loads(fix(home, "status", "--format", "json").stdout)
    assert listed[0]["remedy"] == "cache-in-memory"
    for one in listed:
        assert one["remedy"] in done.stdout


@pytest.mark.parametrize(
    "words", [("apply",), ("plan", "magic"), ("frobnicate", "cache-in-memory")]
)
def test_a_wrong_command_line_is_a_usage_error(home: Path, words: tuple[str, ...]) -> None:
    done = fix(home, *words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_an_obstacle_is_said_once_with_the_next_step(home: Path) -> None:
    planned = fix(home, "plan", "repair-cache-link")
    assert planned.returncode == 1
    assert planned.stdout.splitlines()[-1].startswith("Nothing can be changed: ")
    applied = fix(home, "apply", "repair-cache-link")
    assert applied.returncode == 1
    assert applied.stderr.startswith("kubelag: ")
    assert applied.stderr.count("\n") == 1


def test_without_a_home_it_says_what_to_name(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kubelag", "fix", "plan", "cache-in-memory"],
        env={"PATH": os.environ["PATH"], "XDG_STATE_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "--cache-dir" in done.stdout + done.stderr


def test_help_teaches_every_action(home: Path) -> None:
    text = fix(home, "--help").stdout
    for action in ("plan", "apply", "verify", "undo", "status"):
        assert f"kubelag fix {action} cache-in-memory" in text
    assert "Exit codes" in text


PLAN = Plan(
    remedy="r",
    summary="do",
    changes=(
        Change(what="file", path="/new", before="nothing", after="one\ntwo\n"),
        Change(what="link", path="/changed", before="a directory", after="a link"),
        Change(what="file", path="/gone", before="a file", after="nothing"),
    ),
    warnings=("careful",),
)


def test_a_plan_shows_what_comes_goes_and_changes() -> None:
    text = fix_text.plan(PLAN, "go", lambda text, _colour: text)
    assert text.splitlines() == [
        "r: do",
        "  + /new",
        "      a file:",
        "      | one",
        "      | two",
        "  ~ /changed",
        "      a link (was a directory)",
        "  - /gone",
        "      nothing",
        "! careful",
        "Nothing was changed. To do it: go",
    ]


def test_colours_are_for_terminals_that_want_them() -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    painted = fix_text.painter(Terminal(), {})("x", "red")  # type: ignore[arg-type]
    assert painted == "\x1b[31mx\x1b[0m"
    assert fix_text.painter(Terminal(), {"NO_COLOR": "1"})("x", "red") == "x"  # type: ignore[arg-type]
    assert fix_text.painter(Terminal(), {"TERM": "dumb"})("x", "red") == "x"  # type: ignore[arg-type]


def test_a_standing_is_one_sentence_and_a_next_step() -> None:
    one = Status(remedy="r", state="broken", detail="it is so", next_step="kubelag fix undo r")
    text = fix_text.status(one, lambda text, _colour: text)
    assert text == "r: broken; it is so\nnext: kubelag fix undo r"
