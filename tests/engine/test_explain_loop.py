"""The loop around one command: what comes after what, and what does not come at all."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evidence import MS, START, S, call, evidence, incident, request
from kubelag.engine import explain as loop
from kubelag.engine.captures import Files
from kubelag.engine.explain import Explained, Wish, explain
from kubelag.engine.road import Road
from kubelag.engine.setting import Setting
from kubelag.experiments import scratch
from kubelag.launch.child import Child
from kubelag.model.evidence import Evidence, Look, Request, Run
from kubelag.model.experiment import Trial
from program import fake_kubectl

CONFIG = {
    "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
    "users": [{"name": "u", "user": {"token": "t"}}],
    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
    "current-context": "x",
}
SURVEYED = Look(observer="path", state="looked", how="in a test")
PROVED = Trial(stopped="settled after 3 blocks")


class Teller:
    """Remembers the stages."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def stage(self, text: str) -> None:
        self.stages.append(text)

    def watching(self, elapsed_s: float) -> None:
        """Nothing."""

    def running(self, title: str, block: int, elapsed_s: float) -> None:
        """Nothing."""

    def found(self, experiment: object, estimate: object) -> None:
        """Nothing."""


class World:
    """Observed runs in the order in which they are to come out; no command is ever run."""

    def __init__(self, *runs: Evidence) -> None:
        self.runs = list(runs)
        self.settings: list[Setting] = []
        self.cold: list[bool] = []
        self.proofs = 0
        self.sent: list[Request] = []
        self.surveys = 0
        self.probed: list[Request | None] = []
        self.is_interrupted = False

    def survey(self, found: Evidence, _road: Road) -> Evidence:
        self.surveys += 1
        return replace(found, looks=(*found.looks, SURVEYED))

    def probe(self, found: Evidence, _setting: Setting, target: Request | None) -> Evidence:
        self.probed.append(target)
        return found

    def send(self, _setting: Setting, found: Evidence, asked: Request) -> Evidence:
        if self.is_interrupted:
            raise KeyboardInterrupt
        self.sent.append(asked)
        return found

    def observe(self, setting: Setting, manner: Any, *, shown: Any, cold: bool) -> Evidence:
        assert manner.depth == ("files" if self.settings else "narrow")
        assert shown
        self.settings.append(setting)
        self.cold.append(cold)
        return replace(self.runs[len(self.settings) - 1], cold=cold)

    def prove(self, *_args: Any) -> Trial:
        self.proofs += 1
        return PROVED


Play = Callable[..., Explained]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a kubectl and a kubeconfig."""
    fake_kubectl(tmp_path / "kubectl")
    (tmp_path / "config").write_text(json.dumps(CONFIG))
    return tmp_path


@pytest.fixture
def play(home: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Explains a command in a world that only pretends to run it."""
    env = {"HOME": str(home), "PATH": os.environ["PATH"], "KUBECONFIG": str(home / "config")}

    def run(world: World, line: str = "get nodes", **wish: Any) -> Explained:
        monkeypatch.setattr(loop, "observe", world.observe)
        monkeypatch.setattr(loop, "prove", world.prove)
        monkeypatch.setattr(loop, "with_own_request", world.send)
        monkeypatch.setattr(loop, "with_path", world.survey)
        monkeypatch.setattr(loop, "with_server_probes", world.probe)
        argv = (str(home / "kubectl"), *line.split())
        teller = wish.pop("teller", Teller())
        return explain(Wish(argv=argv, env=env, **wish), teller)

    return run


def test_a_suspicion_is_proved(play: Play) -> None:
    world = World(incident())
    assert play(world, cold=True).trial == PROVED
    assert world.proofs == 1


@pytest.mark.parametrize(
    ("found", "wish"),
    [
        (evidence(50 * MS), {}),
        (incident(), {"prove": False}),
        (replace(incident(), repeatable=False), {}),
        (
            replace(
                incident(), run=Run(start_ns=START, end_ns=START + S, exit_code=None, signal=9)
            ),
            {},
        ),
    ],
    ids=["nothing suspected", "not wanted", "not to be repeated", "killed"],
)
def test_anything_else_is_not_run_again(play: Play, found: Evidence, wish: dict[str, Any]) -> None:
    world = World(found)
    assert play(world, **wish).trial == Trial()
    assert (world.proofs, len(world.settings)) == (0, 1)


def puzzling() -> Evidence:
    """Ten seconds of which nothing is known."""
    return evidence(10 * S)


def test_without_an_explanation_every_file_call_of_a_second_run_is_watched(play: Play) -> None:
    opened = call("openat", 0, 9 * S, "/home/u/.kube/cache/x")
    world, teller = World(puzzling(), replace(puzzling(), syscalls=(opened,))), Teller()
    explained = play(world, cold=True, teller=teller)
    assert explained.judged.case.evidence.syscalls == (opened,)
    assert teller.stages == [
        "watching one run",
        "looking at the way to the server",
        "watching every file call of a second run",
    ]
    assert explained.judged.case.evidence.looks[-2] == SURVEYED
    first, second = (setting.argv[1] for setting in world.settings)
    assert first.startswith("--cache-dir=")
    assert first != second
    assert world.cold == [True, True]


def test_a_second_run_that_ended_otherwise_explains_nothing_about_the_first(play: Play) -> None:
    failed = replace(puzzling(), run=replace(puzzling().run, exit_code=1))
    explained = play(World(puzzling(), failed), cold=True)
    assert explained.judged.case.evidence.run.exit_code == 0


def test_ctrl_c_in_the_second_run_ends_it_all_with_what_the_first_has_shown(play: Play) -> None:
    cut = replace(puzzling(), run=replace(puzzling().run, exit_code=None, interrupted=True))
    world = World(puzzling(), cut)
    explained = play(world, cold=True)
    assert explained.is_interrupted
    assert not explained.judged.case.evidence.run.interrupted
    assert world.proofs == 0


def test_ctrl_c_in_the_first_run_is_told_and_nothing_is_run_again(play: Play) -> None:
    cut = replace(incident(), run=replace(incident().run, exit_code=None, interrupted=True))
    world = World(cut)
    assert play(world).is_interrupted
    assert (world.proofs, len(world.settings)) == (0, 1)


def warm(home: Path) -> None:
    host = home / ".kube/cache/discovery/127.0.0.1_1"
    host.mkdir(parents=True)
    (host / "servergroups.json").write_text('{"groups": []}')


def test_a_warm_cache_that_cannot_be_copied_is_not_run_again_in_another_state(
    play: Play, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm(home)
    monkeypatch.setattr(scratch, "memory_place", lambda: None)
    world = World(incident())
    explained = play(world)
    assert explained.trial.stopped.startswith("none, since no writable directory")
    assert world.proofs == 0


def test_cold_where_the_cache_cannot_be_written_is_the_users_own_run(
    play: Play, home: Path
) -> None:
    (home / ".kube").mkdir()
    (home / ".kube/cache").symlink_to("/nowhere")
    world = World(incident())
    play(world, cold=True)
    assert world.cold == [False]
    assert world.settings[0].argv[1:] == ("get", "nodes")


def test_only_what_may_be_repeated_is_cut_short_when_we_die(play: Play) -> None:
    reading, changing = World(evidence(50 * MS)), World(evidence(50 * MS))
    play(reading)
    play(changing, "delete pod x", once=True)
    assert reading.settings[0].child == Child()
    assert changing.settings[0].child is None


def test_control_groups_are_joined_by_every_run(play: Play) -> None:
    world = World(evidence(50 * MS))
    play(world, "delete pod x", once=True, cgroup_procs=("/dev/null",))
    assert world.settings[0].child == Child(cgroup_procs=("/dev/null",), dies_with_us=False)


def test_nothing_is_left_beside_the_users_cache(play: Play, home: Path) -> None:
    warm(home)
    before = sorted(home.rglob("*"))
    play(World(incident()), cold=True)
    assert sorted(home.rglob("*")) == before


def test_what_a_user_typed_is_not_shown_with_its_environment(home: Path) -> None:
    wish = Wish(argv=("kubectl",), env={"SECRET": "planted", "HOME": str(home)})
    assert "planted" not in repr(wish)


LISTED = request("/api/v1/nodes?limit=500", 9 * MS, 5 * MS)


def quick() -> Evidence:
    """A run without anything slow, and with one request for a list."""
    return evidence(50 * MS, requests=(LISTED,))


def test_the_request_is_sent_once_more_by_our_own_client_even_where_nothing_is_slow(
    play: Play,
) -> None:
    world, teller = World(quick()), Teller()
    play(world, teller=teller)
    assert world.sent == [LISTED]
    assert teller.stages == [
        "watching one run",
        "looking at the way to the server",
        "watching one request by kubelag's own client",
    ]
    assert world.probed == []


def test_the_parts_of_a_slow_server_are_told_apart(play: Play) -> None:
    slow = request("/api/v1/nodes?limit=500", 0, 2 * S)
    world = World(evidence(2 * S, requests=(slow,)))
    play(world)
    assert world.probed == [slow]


@pytest.mark.parametrize(
    ("found", "wish", "surveys"),
    [
        (evidence(50 * MS), {}, 1),
        (evidence(50 * MS), {"prove": False}, 0),
        (
            replace(
                evidence(50 * MS),
                run=Run(start_ns=START, end_ns=START + S, exit_code=None, interrupted=True),
            ),
            {},
            0,
        ),
    ],
    ids=["ended by itself", "once and no more", "interrupted"],
)
def test_the_way_is_probed_after_a_run_that_ended_by_itself(
    play: Play, found: Evidence, wish: dict[str, Any], surveys: int
) -> None:
    world = World(found)
    explained = play(world, **wish)
    assert world.surveys == surveys
    look = explained.judged.case.evidence.look("path")
    assert look is not None


def test_a_capture_that_is_no_use_loses_nothing_else(play: Play, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pcap"
    broken.write_bytes(b"nothing")
    explained = play(World(incident()), captures=Files(near=broken))
    look = explained.judged.case.evidence.look("captures")
    assert look is not None
    assert look.state == "could_not_look"
    assert "broken.pcap" in look.how
    assert explained.trial == PROVED


@pytest.mark.parametrize(
    ("found", "line", "wish", "why"),
    [
        (quick(), "get nodes", {"prove": False}, "nothing is to be run again"),
        (
            replace(quick(), repeatable=False, repeatable_why="delete may change the cluster"),
            "delete pod x",
            {"once": True},
            "nothing is run again, since delete may change the cluster",
        ),
        (
            replace(quick(), run=replace(quick().run, exit_code=None, signal=9)),
            "get nodes",
            {},
            "the command was ended early",
        ),
        (quick(), "version --client", {}, "the command talks to no server"),
        (evidence(50 * MS), "get nodes", {}, "the client's log names no request for an object"),
        (quick(), "get nodes", {"budget_s": 0.001}, "it would take longer than the budget"),
    ],
    ids=["not wanted", "changes", "killed", "offline", "asks for nothing", "no time"],
)
def test_it_is_not_sent_where_nothing_may_be_run_again_or_nothing_was_asked_for(
    play: Play, found: Evidence, line: str, wish: dict[str, Any], why: str
) -> None:
    world = World(found)
    look = play(world, line, **wish).judged.case.evidence.look("own_request")
    assert world.sent == []
    assert look is not None
    assert (look.state, look.how) == ("not_asked", why)


def test_ctrl_c_in_our_own_request_ends_it_all_with_what_was_found(play: Play) -> None:
    world = World(replace(incident(), cold=False))
    world.is_interrupted = True
    explained = play(world, cold=True)
    assert explained.is_interrupted
    assert (explained.judged.case.evidence.own_request, world.proofs) == (None, 0)
