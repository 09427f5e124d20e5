"""Experiments with several arms: which run, against what, and what becomes of a bad one."""

from collections.abc import Callable

import pytest

from evidence import MS
from kubelag.experiments.contract import (
    Variant,
)
from kubelag.experiments.scratch import Scratch
from kubelag.experiments.timing import Timed
from kubelag.model.experiment import Trial
from pretended_trial import Listener, Machine, Play, Removed, Several, arm


def outcomes(trial: Trial) -> dict[str, str]:
    return {one.id: one.outcome for one in trial.experiments}


def test_each_arm_of_an_experiment_is_a_treatment_of_its_own(
    play: Play, listener: Listener
) -> None:
    trial = play(Machine(a=100 * MS, b=900 * MS), Several(arm("a"), arm("b")))
    assert outcomes(trial) == {"several:a": "measured", "several:b": "measured"}
    assert [one.id for one in trial.named("several")] == ["several:a", "several:b"]
    assert trial.named("several:b")[0].estimate is not None
    assert {name for name, _ in listener.findings} == {"several:a", "several:b"}
    assert (1, "another way (a)") in listener.titles


@pytest.mark.parametrize(
    ("wanted", "ran"),
    [
        (("several:b",), {"several:b"}),
        (("several",), {"several:a", "several:b"}),
        ((), {"several:a", "several:b"}),
    ],
)
def test_only_the_wanted_arms_are_run(play: Play, wanted: tuple[str, ...], ran: set[str]) -> None:
    machine = Machine(a=100 * MS, b=100 * MS)
    trial = play(machine, Several(arm("a"), arm("b")), wanted=wanted)
    assert set(outcomes(trial)) == ran
    assert {f"several:{variant.argv[0]}" for variant in machine.ran} - {"several:kubectl"} == ran


def test_an_arm_that_does_not_exist_is_told_with_those_that_do(play: Play) -> None:
    trial = play(Machine(a=100 * MS), Several(arm("a")), wanted=("several:z",))
    (experiment,) = trial.experiments
    assert (experiment.id, experiment.outcome) == ("several:z", "not_applicable")
    assert experiment.why == "there is no such arm, only several:a"


def test_what_does_not_apply_is_told_by_the_names_that_asked_for_it(play: Play) -> None:
    trial = play(Machine(), Removed("a", why_not="no balancer"), wanted=("a:x", "a:y"))
    assert outcomes(trial) == {"a:x": "not_applicable", "a:y": "not_applicable"}


def test_an_arm_is_compared_with_the_one_that_it_names_and_that_runs_too(play: Play) -> None:
    arms = Several(arm("relay"), arm("treated", against="relay"))
    trial = play(Machine(relay=700 * MS, treated=300 * MS), arms, wanted=("several:treated",))
    assert set(outcomes(trial)) == {"several:relay", "several:treated"}
    treated = trial.experiment("several:treated")
    assert treated is not None
    assert treated.estimate is not None
    assert treated.estimate.saving_ns == pytest.approx(400 * MS, abs=10 * MS)


def test_what_others_are_compared_with_is_told_as_that_and_holds_nothing_up(play: Play) -> None:
    """By itself the relay saves next to nothing, which would take five blocks to say."""
    arms = Several(arm("relay"), arm("treated", against="relay"))
    trial = play(Machine(relay=995 * MS, treated=100 * MS), arms)
    assert {one.id: one.is_control for one in trial.experiments} == {
        "several:relay": True,
        "several:treated": False,
    }
    assert trial.stopped == "settled after 3 blocks"


def dosed(*doses_ms: int) -> Several:
    return Several(
        *(
            arm(f"d{dose}", dose_ns=dose * MS, against="d0" if dose else "")
            for dose in reversed(doses_ms)
        )
    )


def test_doses_give_the_number_of_round_trips_that_are_waited_for(play: Play) -> None:
    machine = Machine(d0=1000 * MS, d100=1500 * MS, d200=2000 * MS)
    trial = play(machine, dosed(0, 100, 200))
    response = trial.dose_response
    assert response is not None
    assert (response.kind, response.doses_ns) == ("several", (0, 100 * MS, 200 * MS))
    assert response.slope == pytest.approx(5, rel=0.05)
    assert response.low <= response.slope <= response.high
    assert response.blocks == len(trial.arms[-1].walls_ns)
    assert trial.experiment("several:d100").dose_ns == 100 * MS  # type: ignore[union-attr]


def test_two_doses_are_no_response(play: Play) -> None:
    assert play(Machine(d0=1000 * MS, d100=1500 * MS), dosed(0, 100)).dose_response is None


def test_an_arm_that_fails_in_its_warm_up_is_not_run_again(play: Play) -> None:
    machine = Machine(a=100 * MS, b=100 * MS)
    machine.codes["a"] = 1
    trial = play(machine, Several(arm("a"), arm("b")))
    assert outcomes(trial) == {"several:b": "measured", "several:a": "failed"}
    assert [variant.argv[0] for variant in machine.ran].count("a") == 1


def test_an_arm_that_has_no_end_has_that_as_its_result_and_the_others_go_on(play: Play) -> None:
    trial = play(Machine(a=51_000 * MS, b=100 * MS), Several(arm("a"), arm("b")))
    assert outcomes(trial) == {"several:b": "measured", "several:a": "failed"}
    failed = trial.experiment("several:a")
    assert failed is not None
    assert "another way (a): not at an end after 50 s" in failed.why


def test_an_arm_that_has_no_end_in_a_later_block_drops_out_there(play: Play) -> None:
    class Worsening(Machine):
        def run(self, variant: Variant, scratch: Scratch, tick: Callable[[float], None]) -> Timed:
            if [one.argv[0] for one in self.ran].count("a") == 2:
                self.walls_ns["a"] = 51_000 * MS
            return super().run(variant, scratch, tick)

    trial = play(Worsening(a=100 * MS, b=100 * MS), Several(arm("a"), arm("b")))
    assert outcomes(trial) == {"several:b": "measured", "several:a": "failed"}
    assert trial.stopped == "settled after 3 blocks"


def test_where_no_arm_is_left_the_trial_ends(play: Play) -> None:
    class Worsening(Machine):
        def run(self, variant: Variant, scratch: Scratch, tick: Callable[[float], None]) -> Timed:
            if self.ran and self.ran[0].argv[0] == "a":
                self.walls_ns["a"] = 51_000 * MS
            return super().run(variant, scratch, tick)

    trial = play(Worsening(a=100 * MS), Several(arm("a")))
    assert trial.stopped == "no experiment could be run to its end"
    assert outcomes(trial) == {"several:a": "failed"}


def test_best_arms_come_first_and_no_more_than_the_budget_has_room_for(play: Play) -> None:
    """Eight arms of 10 s would take 80 s for the warm-up alone."""
    names = [f"arm{number}" for number in range(8)]
    machine = Machine(kubectl=10_000 * MS, **dict.fromkeys(names, 10_000 * MS))
    trial = play(machine, Several(*map(arm, names)), budget_s=120.0)
    ran = [name for name in names if outcomes(trial)[f"several:{name}"] == "measured"]
    assert ran == names[: len(ran)]
    assert 0 < len(ran) < len(names)
    assert machine.now_s <= 120 + 10
    left = trial.experiment("several:arm7")
    assert left is not None
    assert left.why == "the budget had no room for another arm"


def test_quick_arms_all_find_room(play: Play) -> None:
    names = [f"arm{number}" for number in range(8)]
    machine = Machine(**dict.fromkeys(names, 100 * MS))
    trial = play(machine, Several(*map(arm, names)), budget_s=120.0)
    assert set(outcomes(trial).values()) == {"measured"}
