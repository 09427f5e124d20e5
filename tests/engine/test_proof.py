"""What a trial makes of a suspicion: proven only where every rule holds."""

from dataclasses import replace
from typing import Any

import pytest

from evidence import MS, S
from kubelag.engine.expecting import in_proportion, scaled
from kubelag.engine.proof import rule
from kubelag.experiments.statistics import paired
from kubelag.model.experiment import Arm, DoseResponse, Experiment, Trial
from kubelag.model.verdict import Judgement

SUSPICION = Judgement(
    cause="discovery_cache_fsync",
    standing="suspected",
    sentence="it syncs",
    low_ns=8 * S,
    high_ns=9 * S,
    experiments=("fsync_suppressed", "cache_on_memory"),
)

UNCHANGED = (10 * S, 10 * S + 90 * MS, 10 * S - 70 * MS)


def trial(
    *treated: int, placebo: tuple[int, ...] = UNCHANGED, name: str = "fsync_suppressed"
) -> Trial:
    arms = (
        Arm(name="unchanged", walls_ns=UNCHANGED),
        Arm(name="unchanged_again", walls_ns=UNCHANGED[::-1]),
        Arm(name="placebo", walls_ns=placebo),
        Arm(name=name, walls_ns=treated),
    )
    return Trial(
        arms=arms,
        experiments=(Experiment(id=name, outcome="measured", estimate=paired(UNCHANGED, treated)),),
        same_against_same=paired(UNCHANGED, UNCHANGED[::-1]),
        placebo=paired(UNCHANGED, placebo),
    )


def test_a_large_saving_as_predicted_is_proven() -> None:
    ruling = rule(SUSPICION, trial(1500 * MS, 1480 * MS, 1510 * MS), 10 * S, 9 * S)
    assert ruling.verdict == "proven"
    assert ruling.proof is not None
    assert ruling.proof.pairs == 3
    assert ruling.proof.ci95_s[0] > 8


def test_nothing_is_proven_without_a_measurement() -> None:
    ruling = rule(SUSPICION, Trial(stopped="the budget was spent"), 10 * S, 9 * S)
    assert (ruling.verdict, ruling.proof) == ("likely", None)
    assert "budget" in ruling.reason


def test_a_small_share_without_proof_only_contributes() -> None:
    assert rule(SUSPICION, Trial(), 10 * S, 1 * S).verdict == "contributing"


def test_far_less_than_predicted_is_no_proof_but_a_wrong_model() -> None:
    ruling = rule(SUSPICION, trial(9900 * MS, 9950 * MS, 9940 * MS), 10 * S, 9 * S)
    assert ruling.verdict == "unknown"
    assert "model is wrong" in ruling.reason


def test_runs_that_did_not_meet_the_trouble_say_nothing_about_it() -> None:
    """One silent server of three behind a balancer: two runs of three are quick anyhow."""
    quick = trial(*UNCHANGED)
    seen = replace(SUSPICION, low_ns=20 * S, high_ns=20 * S)
    ruling = rule(seen, quick, 30 * S, 20 * S)
    assert (ruling.verdict, ruling.proof) == ("likely", None)
    assert ruling.reason == "not proven; the timed runs took 10.0 s: they did not meet it"
    few = trial(UNCHANGED[0] - 9 * S, *UNCHANGED[1:])
    assert rule(seen, few, 30 * S, 20 * S).proof is None
    # Whatever else made the observed run long: this cause was in the timed ones too.
    assert rule(replace(seen, low_ns=4 * S), quick, 30 * S, 41 * S).verdict == "unknown"
    # And what was saved was there.
    assert rule(seen, trial(S, S, S), 30 * S, 20 * S).proof is not None


def test_less_than_predicted_is_likely_until_it_is_seen_where_the_time_went() -> None:
    runs = trial(4 * S, 4 * S + 10 * MS, 4 * S - 10 * MS)
    assert rule(SUSPICION, runs, 10 * S, 9 * S).verdict == "likely"
    moved = replace(
        runs.experiments[0], knock_on_ns=3 * S, knock_on_what="opening and renaming (3.00 s)"
    )
    followed = rule(SUSPICION, replace(runs, experiments=(moved,)), 10 * S, 9 * S)
    assert followed.verdict == "proven"
    assert followed.proof is not None
    assert "3.00 s moved to opening and renaming" in followed.proof.sentence


def test_more_than_predicted_is_not_proven_either() -> None:
    suspicion = replace(SUSPICION, low_ns=2 * S, high_ns=3 * S)
    ruling = rule(suspicion, trial(1 * S, 1 * S, 1 * S), 10 * S, 3 * S)
    assert ruling.verdict == "likely"
    assert "more than" in ruling.reason


def test_a_wrapper_that_changes_as_much_as_the_removal_proves_nothing() -> None:
    ruling = rule(
        SUSPICION,
        trial(1500 * MS, 1480 * MS, 1510 * MS, placebo=(1400 * MS, 1390 * MS, 1420 * MS)),
        10 * S,
        9 * S,
    )
    assert ruling.verdict == "unknown"
    assert "wrapper" in ruling.reason


def test_too_noisy_says_how_many_runs_are_needed() -> None:
    ruling = rule(SUSPICION, trial(1 * S, 12 * S, 3 * S), 10 * S, 9 * S)
    assert ruling.verdict == "likely"
    assert "runs of each kind needed" in ruling.reason


def two_pairs(*treated: int, controls: tuple[int, int] = (10 * S, 10 * S + 40 * MS)) -> Trial:
    """What a slow command gets: the observed run stands in for the unchanged one again."""
    return Trial(
        arms=(
            Arm(name="unchanged", walls_ns=controls[:1]),
            Arm(name="placebo", walls_ns=controls[1:]),
            Arm(name="fsync_suppressed", walls_ns=treated),
        ),
        experiments=(
            Experiment(
                id="fsync_suppressed", outcome="measured", estimate=paired(controls, treated)
            ),
        ),
    )


def test_two_pairs_that_agree_prove_and_the_observed_run_is_shown_beside_them() -> None:
    ruling = rule(SUSPICION, two_pairs(1500 * MS, 1480 * MS), 10 * S + 90 * MS, 9 * S)
    assert ruling.verdict == "proven"
    assert ruling.proof is not None
    assert ruling.proof.ci95_s[0] < 8.2
    assert [arm.name for arm in ruling.proof.arms] == [
        "observed",
        "unchanged",
        "placebo",
        "fsync_suppressed",
    ]


def test_two_pairs_that_differ_prove_nothing() -> None:
    ruling = rule(SUSPICION, two_pairs(1 * S, 3 * S), 10 * S, 9 * S)
    assert ruling.verdict == "likely"
    assert "underpowered" in ruling.reason


def test_two_pairs_of_a_quick_command_prove_nothing() -> None:
    quick = replace(SUSPICION, low_ns=800 * MS, high_ns=900 * MS)
    runs = two_pairs(150 * MS, 148 * MS, controls=(1000 * MS, 1004 * MS))
    ruling = rule(quick, runs, 1 * S, 900 * MS)
    assert ruling.verdict == "likely"
    assert "underpowered" in ruling.reason


def test_a_prediction_is_told_in_proportion_to_the_timed_runs() -> None:
    spoken = replace(SUSPICION, arithmetic="157 fsyncs x 57.0 ms = 9.00 s")
    longer = in_proportion(spoken, 5 * S, 10 * S)
    assert (longer.low_ns, longer.high_ns) == (4 * S, 4500 * MS)
    assert longer.arithmetic == f"{spoken.arithmetic} of 10.0 s; the timed runs took 5.00 s"
    alike = in_proportion(spoken, 10 * S + 100 * MS, 10 * S)
    assert alike.arithmetic == spoken.arithmetic
    assert scaled(spoken, 5 * S, 10 * S).high_ns == 9 * S


def test_an_observed_run_far_from_the_timed_ones_is_noise_too() -> None:
    weak = replace(SUSPICION, low_ns=4 * S, high_ns=5 * S)
    runs = two_pairs(6 * S, 6 * S + 10 * MS)
    assert rule(weak, runs, 10 * S, 4 * S).verdict == "proven"
    assert rule(weak, runs, 14 * S, 4 * S).verdict == "likely"


def test_a_failed_treatment_is_no_measurement() -> None:
    failed = Trial(
        experiments=(Experiment(id="fsync_suppressed", outcome="failed", why="exit code [1]"),)
    )
    ruling = rule(SUSPICION, failed, 10 * S, 9 * S)
    assert ruling.proof is None
    assert "exit code [1]" in ruling.reason


def test_an_experiment_that_changes_more_than_the_factor_never_decides() -> None:
    runs = trial(1500 * MS, 1480 * MS, 1510 * MS, name="other_client")
    suspicion = replace(SUSPICION, supporting=("other_client",))
    assert rule(suspicion, runs, 10 * S, 9 * S).verdict == "likely"


def test_what_watching_made_longer_may_or_may_not_have_been_this_factor() -> None:
    """Observed 11 s of which it was 9: unwatched, 10 s of which it is 8.2 or still 9."""
    suspicion = replace(SUSPICION, low_ns=9 * S, high_ns=9 * S)
    for saved_ms in (8200, 9000):
        rest_ms = 10_000 - saved_ms
        runs = trial(rest_ms * MS, (rest_ms + 10) * MS, (rest_ms - 10) * MS)
        assert rule(suspicion, runs, 11 * S, 9 * S).verdict == "proven"


RTT_NS = 100 * MS
DOSED = Judgement(
    cause="rtt_long",
    standing="suspected",
    sentence="the way is long",
    low_ns=450 * MS,
    high_ns=600 * MS,
    experiments=("delay_response",),
    dose_ns=RTT_NS,
)


def doses(slope: float = 5.0, spread: float = 0.2, **changes: Any) -> Trial:
    response = DoseResponse(
        kind="delay_response",
        doses_ns=(0, 50 * MS, 100 * MS),
        slope=slope,
        low=slope - spread,
        high=slope + spread,
        bend_ns=0,
        bend_low_ns=-5 * MS,
        bend_high_ns=5 * MS,
        blocks=3,
    )
    walls = (1000 * MS, 1010 * MS, 990 * MS)
    arms = tuple(
        Arm(name=f"delay_response:{dose}ms", walls_ns=tuple(wall + 5 * dose * MS for wall in walls))
        for dose in (0, 50, 100)
    )
    return Trial(
        arms=(
            Arm(name="unchanged", walls_ns=walls),
            Arm(name="unchanged_again", walls_ns=walls),
            *arms,
        ),
        experiments=tuple(
            Experiment(
                id=arm.name, outcome="measured", estimate=paired(walls, arm.walls_ns), dose_ns=1
            )
            for arm in arms
        ),
        dose_response=replace(response, **changes),
    )


def test_round_trips_that_cost_what_was_predicted_are_proven_by_dose_and_response() -> None:
    ruling = rule(DOSED, doses(), 1 * S, 500 * MS)
    assert (ruling.verdict, ruling.reason) == ("proven", "")
    proof = ruling.proof
    assert proof is not None
    assert (proof.experiment, proof.saving_s, proof.pairs) == ("delay_response", 0.5, 3)
    assert proof.ci95_s == (0.48, 0.52)
    assert [arm.name for arm in proof.arms][-3:] == [
        "delay_response:0ms",
        "delay_response:50ms",
        "delay_response:100ms",
    ]
    assert proof.sentence == (
        "by dose and response: 50.0 ms and 100 ms more for each round trip made it longer by 5.0 "
        "times that (95 % interval 4.8 to 5.2, 3 blocks), so that many round trips of 100 ms are "
        "waited for one after the other: at least 500 ms of 1.00 s"
    )


@pytest.mark.parametrize(
    ("changes", "verdict", "why"),
    [
        ({"slope": 5.0, "spread": 4.0}, "likely", "95 % interval is 100 ms to 900 ms"),
        ({"slope": 1.0, "spread": 0.5}, "unknown", "out of their reach, or not there"),
        ({"slope": 9.0}, "likely", "more than the"),
        ({"slope": 3.0}, "likely", "less than the"),
        (
            {"bend_ns": 300 * MS, "bend_low_ns": 250 * MS, "bend_high_ns": 350 * MS},
            "likely",
            "the largest dose added 300 ms more than the smallest foretold",
        ),
        (
            {"bend_ns": -300 * MS, "bend_low_ns": -350 * MS, "bend_high_ns": -250 * MS},
            "likely",
            "the largest dose added 300 ms less than the smallest foretold",
        ),
    ],
)
def test_otherwise_it_is_not_proven(changes: dict[str, Any], verdict: str, why: str) -> None:
    ruling = rule(DOSED, doses(**changes), 1 * S, 500 * MS)
    assert ruling.verdict == verdict
    assert why in ruling.reason
    assert ruling.proof is not None


def test_a_bend_too_small_to_matter_is_none() -> None:
    bend = {"bend_ns": 20 * MS, "bend_low_ns": 15 * MS, "bend_high_ns": 25 * MS}
    assert rule(DOSED, doses(**bend), 1 * S, 500 * MS).verdict == "proven"


def test_round_trips_that_cost_little_only_contribute() -> None:
    little = replace(DOSED, low_ns=40 * MS, high_ns=60 * MS, dose_ns=10 * MS)
    ruling = rule(little, doses(), 1 * S, 50 * MS)
    assert ruling.verdict == "contributing"
    assert "under 20%" in ruling.reason


def test_doses_decide_nothing_for_a_cause_without_round_trips() -> None:
    """Each dosed arm is slower, which is no failure to save."""
    ruling = rule(replace(DOSED, dose_ns=0), doses(), 1 * S, 500 * MS)
    assert (ruling.verdict, ruling.proof) == ("likely", None)


def test_an_experiment_that_is_better_decides_before_the_doses() -> None:
    runs = trial(1500 * MS, 1480 * MS, 1510 * MS, name="direct_backend:b")
    both = replace(runs, dose_response=doses().dose_response)
    suspicion = replace(
        SUSPICION, experiments=("direct_backend:b", "delay_response"), dose_ns=RTT_NS
    )
    ruling = rule(suspicion, both, 10 * S, 9 * S)
    assert ruling.verdict == "proven"
    assert ruling.proof is not None
    assert ruling.proof.experiment == "direct_backend:b"


def test_a_name_without_a_label_means_the_first_arm_that_was_measured() -> None:
    runs = trial(1500 * MS, 1480 * MS, 1510 * MS, name="direct_backend:b")
    dead = Experiment(id="direct_backend:a", outcome="failed", why="not at an end after 50 s")
    runs = replace(runs, experiments=(dead, *runs.experiments))
    by_kind = rule(replace(SUSPICION, experiments=("direct_backend",)), runs, 10 * S, 9 * S)
    assert by_kind.verdict == "proven"
    assert by_kind.proof is not None
    assert by_kind.proof.experiment == "direct_backend:b"
    by_arm = rule(replace(SUSPICION, experiments=("direct_backend:a",)), runs, 10 * S, 9 * S)
    assert by_arm.proof is None
    assert "direct_backend:a: not at an end after 50 s" in by_arm.reason


def test_a_failed_dose_leaves_no_response_to_rely_on() -> None:
    given = doses()
    (first, *others) = given.experiments
    failed = replace(first, outcome="failed", why="it ended with exit code [1]")
    ruling = rule(DOSED, replace(given, experiments=(failed, *others)), 1 * S, 500 * MS)
    assert (ruling.verdict, ruling.proof) == ("likely", None)
    assert "it ended with exit code [1]" in ruling.reason


SLOW_TLS = replace(SUSPICION, experiments=("direct_backend",), factors=("tls",))


def straight(besides: tuple[tuple[str, int], ...]) -> Trial:
    """The API server's own address in place of the balancer's name saved 8.5 s of 10."""
    made = trial(1500 * MS, 1480 * MS, 1510 * MS, name="direct_backend:a")
    (one,) = made.experiments
    return replace(made, experiments=(replace(one, besides=besides),))


@pytest.mark.parametrize(
    ("besides", "verdict"),
    [
        ((("dns", 2 * MS), ("connect", 30 * MS)), "proven"),
        ((("dns", 7 * S),), "likely"),
        ((("dns", 4 * S), ("connect", 4 * S)), "likely"),
        ((("tls", 9 * S),), "proven"),
    ],
)
def test_what_an_arm_takes_away_besides_is_not_the_causes(
    besides: tuple[tuple[str, int], ...], verdict: str
) -> None:
    assert rule(SLOW_TLS, straight(besides), 10 * S, 9 * S).verdict == verdict


def test_what_else_a_saving_may_be_is_said() -> None:
    ruling = rule(SLOW_TLS, straight((("dns", 7 * S), ("tls", 2 * S))), 10 * S, 9 * S)
    assert ruling.reason.endswith("but 7.00 s of looking up names may be in that")
    assert ruling.proof is not None
    assert ruling.proof.sentence.endswith("up to 7.00 s of looking up names may be in that")
    quick = rule(SLOW_TLS, straight((("dns", 2 * MS),)), 10 * S, 9 * S).proof
    assert quick is not None
    assert "looking up" not in quick.sentence


def test_what_others_are_compared_with_decides_nothing() -> None:
    """Where the arm itself failed, its own control would show what a full cache saves."""
    made = trial(1500 * MS, 1480 * MS, 1510 * MS, name="discovery_stubbed:full")
    (full,) = made.experiments
    arms = (
        Experiment(id="discovery_stubbed:stubbed", outcome="failed", why="it failed"),
        replace(full, is_control=True),
    )
    broken = replace(SUSPICION, experiments=("discovery_stubbed",))
    ruling = rule(broken, replace(made, experiments=arms), 10 * S, 9 * S)
    assert (ruling.verdict, ruling.proof) == ("likely", None)
    assert "it failed" in ruling.reason
