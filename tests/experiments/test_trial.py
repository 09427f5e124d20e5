"""Random blocks: every arm once in each, and only whole blocks count."""

from collections import Counter

import pytest

from evidence import MS, evidence
from kubelag.experiments import trial as trial_module
from kubelag.experiments.contract import (
    NotApplicableError,
    Situation,
)
from kubelag.experiments.scratch import Scratch
from kubelag.experiments.statistics import MAX_PAIRS
from kubelag.experiments.trial import INTERRUPTED, TrialRunner
from kubelag.experiments.workshop import Workshop
from kubelag.launch import seccomp
from kubelag.model.experiment import Trial
from pretended_trial import UNCHANGED, Listener, Machine, Play, Removed


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is ever settled."""
    monkeypatch.setattr(trial_module, "is_settled", lambda *_: False)


CONTROLS = {"unchanged", "unchanged_again", "placebo"}


def runs(trial: Trial) -> dict[str, int]:
    return {arm.name: len(arm.walls_ns) for arm in trial.arms}


def test_a_large_effect_needs_three_blocks_with_another_control_in_each(play: Play) -> None:
    trial = play(Machine(a=100 * MS, b=200 * MS), Removed("a"), Removed("b"))
    assert trial.stopped == "settled after 3 blocks"
    assert runs(trial) == {"a": 3, "b": 3, **dict.fromkeys(CONTROLS, 1)}
    saved = {one.id: one.estimate.saving_ns for one in trial.experiments if one.estimate}
    assert saved["a"] == pytest.approx(900 * MS, abs=10 * MS)
    assert saved["b"] == pytest.approx(800 * MS, abs=10 * MS)


def test_a_slow_command_is_settled_by_two_blocks_where_the_observed_run_was_alike(
    play: Play,
) -> None:
    trial = play(Machine(kubectl=10_000 * MS, a=100 * MS), Removed("a"))
    assert trial.stopped == "settled after 2 blocks"
    assert runs(trial) == {"a": 2, "unchanged": 1, "placebo": 1}


@pytest.mark.parametrize(
    ("base_ms", "why"), [(8_900, "the observed run took 10 s"), (4_900, "it is not slow")]
)
def test_otherwise_the_unchanged_command_runs_again(play: Play, base_ms: int, why: str) -> None:
    trial = play(Machine(kubectl=base_ms * MS, a=100 * MS), Removed("a"))
    assert trial.stopped == "settled after 3 blocks", why


def test_each_treatment_is_warmed_up_once_and_that_does_not_count(play: Play) -> None:
    machine = Machine(a=100 * MS)
    play(machine, Removed("a"))
    assert machine.ran[0].argv == ("a",)
    assert Counter(variant.argv[0] for variant in machine.ran) == {"a": 4, "kubectl": 3}


@pytest.mark.usefixtures("endless")
def test_a_block_is_every_treatment_and_one_control_in_random_order(
    play: Play, listener: Listener
) -> None:
    trial = play(Machine(a=999 * MS, b=999 * MS), Removed("a"), Removed("b"), budget_s=1e6)
    blocks: dict[int, list[str]] = {}
    for block, title in listener.titles[::2]:
        blocks.setdefault(block, []).append(title)
    del blocks[0]
    for titles in blocks.values():
        assert {"without a", "without b"} < set(titles)
        assert len(titles) == 3
    assert len({tuple(titles) for titles in blocks.values()}) > 1
    taken = [runs(trial)[name] for name in CONTROLS]
    assert max(taken) - min(taken) <= 1
    assert sum(taken) == len(blocks)


@pytest.mark.usefixtures("endless")
def test_equal_runs_are_compared_once_each_of_them_ran_twice(play: Play) -> None:
    trial = play(Machine(a=999 * MS), Removed("a"), budget_s=1e6)
    assert trial.same_against_same is not None
    assert trial.placebo is not None
    assert trial.same_against_same.pairs >= 2


@pytest.mark.usefixtures("endless")
def test_what_is_never_settled_is_asked_for_as_often_as_it_may(play: Play) -> None:
    trial = play(Machine(a=999 * MS), Removed("a"), budget_s=1e6)
    assert trial.stopped == f"{MAX_PAIRS} blocks were run, which is the most"


def test_no_block_is_begun_that_would_end_after_the_budget(play: Play) -> None:
    # A block takes a second, and the warm-up none to speak of.
    trial = play(Machine(a=4 * MS), Removed("a"), budget_s=2.5)
    assert trial.stopped == "the budget was spent after 2 blocks"
    assert runs(trial)["a"] == sum(runs(trial).get(name, 0) for name in CONTROLS) == 2


def test_the_first_block_is_run_whatever_the_budget(play: Play) -> None:
    trial = play(Machine(a=100 * MS), Removed("a"), budget_s=0.1)
    assert trial.stopped == "the budget was spent after 1 block"
    (experiment,) = trial.experiments
    assert (experiment.outcome, experiment.why) == ("out_of_budget", "too few runs")
    assert experiment.command == "a shown"


def test_what_does_not_apply_is_told_and_nothing_is_run_for_it(play: Play) -> None:
    machine = Machine()
    trial = play(machine, Removed("a", why_not="there is no tmpfs"))
    assert machine.ran == []
    assert trial.stopped == "no experiment applies here"
    (experiment,) = trial.experiments
    assert (experiment.outcome, experiment.why) == ("not_applicable", "there is no tmpfs")


@pytest.mark.parametrize(
    "accident", [NotApplicableError("no room"), OSError("no room"), seccomp.SeccompError("no room")]
)
def test_what_fails_in_its_warm_up_is_left_out_and_the_others_go_on(
    play: Play, accident: Exception
) -> None:
    machine = Machine(a=100 * MS, b=100 * MS)
    machine.accident = (1, accident)
    trial = play(machine, Removed("a"), Removed("b"))
    outcomes = {one.id: one.outcome for one in trial.experiments}
    assert outcomes == {"a": "not_applicable", "b": "measured"}
    assert trial.arm("a") is None


def test_ctrl_c_keeps_the_finished_blocks_and_drops_the_other(play: Play) -> None:
    machine = Machine(a=100 * MS)
    machine.accident = (1 + 2 * 2 + 2, KeyboardInterrupt())
    trial = play(machine, Removed("a"))
    assert trial.stopped == INTERRUPTED
    assert runs(trial)["a"] == sum(runs(trial).get(name, 0) for name in CONTROLS) == 2
    assert trial.experiments[0].outcome == "measured"


@pytest.mark.parametrize("run", [1, 2, 3])
def test_ctrl_c_before_the_first_block_is_over_leaves_no_arm(play: Play, run: int) -> None:
    machine = Machine(a=100 * MS)
    machine.accident = (run, KeyboardInterrupt())
    trial = play(machine, Removed("a"))
    assert (trial.stopped, trial.arms) == (INTERRUPTED, ())
    assert trial.experiments[0].outcome == "out_of_budget"


@pytest.mark.parametrize("accident", [NotApplicableError("the disk is full"), OSError("gone")])
def test_a_machine_that_breaks_down_meanwhile_ends_the_trial_and_not_the_program(
    play: Play, accident: Exception
) -> None:
    machine = Machine(a=100 * MS)
    machine.accident = (1 + 2 * 2 + 1, accident)
    trial = play(machine, Removed("a"))
    assert trial.stopped == f"stopped, since a run was no longer possible: {accident}"
    assert runs(trial)["a"] == 2


def test_a_run_that_has_no_end_is_ended_and_so_is_the_trial(play: Play) -> None:
    """The observed run took 10 s, so 50 s are another run."""
    trial = play(Machine(kubectl=51_000 * MS, a=100 * MS), Removed("a"))
    assert "not at an end after 50 s" in trial.stopped
    assert trial.arms == ()


def test_an_arm_that_ends_otherwise_proves_nothing(play: Play) -> None:
    machine = Machine(a=100 * MS)
    machine.codes["a"] = 1
    (experiment,) = play(machine, Removed("a")).experiments
    assert (experiment.outcome, experiment.estimate) == ("failed", None)
    assert "exit code [1]" in experiment.why


def test_where_no_filter_can_be_set_there_is_no_placebo(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seccomp, "probe", lambda: "the container forbids it")
    machine = Machine(a=100 * MS)
    trial = play(machine, Removed("a"))
    assert trial.placebo is None
    assert trial.stopped == "settled after 3 blocks"
    assert {variant.child.filter for variant in machine.ran} == {"none"}
    assert trial.experiments[0].outcome == "measured"


def test_a_warmed_cache_is_filled_once_in_memory(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[str] = []
    monkeypatch.setattr(Scratch, "keep_as_warmed", lambda _scratch: kept.append("kept"))
    machine = Machine(a=100 * MS)
    play(machine, Removed("a", cache="warmed"))
    filling = machine.ran[0]
    assert (filling.argv, filling.cache, filling.child.filter) == (
        UNCHANGED.argv,
        "on_memory",
        "no_sync",
    )
    assert kept == ["kept"]


def test_what_was_found_is_told_after_each_block_from_the_second_on(
    play: Play, listener: Listener
) -> None:
    play(Machine(a=100 * MS), Removed("a"))
    assert [(name, estimate.pairs) for name, estimate in listener.findings] == [("a", 2), ("a", 3)]


def test_how_an_arm_runs_can_be_asked_for(scratch: Scratch, listener: Listener) -> None:
    situation = Situation(
        evidence=evidence(), unchanged=UNCHANGED, kubeconfig=None, workshop=Workshop()
    )
    runner = TrialRunner(situation, [Removed("a")], scratch, listener, budget_s=1.0)
    assert runner.variant("a").argv == ("a",)
    assert runner.variant("unchanged") == UNCHANGED
