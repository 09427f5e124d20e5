"""From evidence and trial to a report; the same for a fresh run and for a bundle."""

from dataclasses import replace
from typing import Any

import pytest

from evidence import MS, START, S, blind, cache, evidence, incident, without
from kubelag.causes.catalogue import all_causes
from kubelag.causes.contract import Case
from kubelag.engine.reporting import judge, report_on
from kubelag.experiments.statistics import paired
from kubelag.model.evidence import ClientNote, Evidence, OwnPhase, OwnRequest, Run
from kubelag.model.experiment import Arm, Experiment, Trial
from kubelag.model.remedy import Advice
from kubelag.model.report import Report
from kubelag.model.verdict import Judgement

UNCHANGED_NS = (10 * S, 10 * S + 5 * MS, 10 * S - 5 * MS)


def advise(name: str, found: Evidence) -> Advice:
    return Advice(id=name, summary=f"{name} on {found.machine.hostname}", commands=())


def report(found: Evidence, trial: Trial | None = None, *causes: Any) -> Report:
    return report_on(judge(found, causes or all_causes()), trial or Trial(), advise)


class Opinion:
    """A cause with one opinion, whatever it is shown."""

    def __init__(self, name: str, **judgement: Any) -> None:
        self.id = self.title = name
        self._judgement = Judgement(cause=name, **judgement)

    def judge(self, case: Case) -> Judgement:
        assert case
        return self._judgement


class Broken:
    """A cause that crashes."""

    id = title = "broken"

    def judge(self, case: Case) -> Judgement:
        raise ZeroDivisionError(f"no {case.client}")


def suspect(name: str, high_s: float, **more: Any) -> Opinion:
    high_ns = round(high_s * S)
    sentence = f"{name} it is"
    return Opinion(
        name, standing="suspected", sentence=sentence, low_ns=high_ns, high_ns=high_ns, **more
    )


def test_shares_and_the_rest_add_up_to_the_whole() -> None:
    found = report(incident())
    shares = sum(factor.share for factor in found.factors)
    assert shares + found.unexplained_share == pytest.approx(1)
    spent_s = sum(factor.critical_s for factor in found.factors)
    assert spent_s + found.unexplained_s == pytest.approx(found.wall_s)


def test_a_cause_that_crashes_is_told_and_takes_no_other_with_it() -> None:
    found = report(incident(), None, Broken(), suspect("other", 9))
    assert found.errors == ("cause broken crashed: ZeroDivisionError: no kubectl 1.20.2",)
    assert [line.cause for line in found.verdicts] == ["other"]


def test_the_costliest_of_equal_verdicts_comes_first_and_is_the_headline() -> None:
    found = report(incident(), None, suspect("cheap", 3), suspect("dear", 8))
    assert [line.cause for line in found.verdicts] == ["dear", "cheap"]
    assert found.headline.startswith("dear it is")


def test_a_small_part_only_contributes_and_comes_later() -> None:
    found = report(incident(), None, suspect("small", 1), suspect("large", 3))
    assert [(line.cause, line.verdict) for line in found.verdicts] == [
        ("large", "likely"),
        ("small", "contributing"),
    ]


def test_unknown_comes_last_with_what_is_missing() -> None:
    found = report(replace(incident(), looks=without("host")))
    unknown = [line for line in found.verdicts if line.verdict == "unknown"]
    assert found.verdicts[-len(unknown) :] == tuple(unknown)
    assert all(line.evidence for line in unknown)
    (missing,) = found.could_not_look
    assert (missing.observer, missing.why) == ("host", "strace is not installed")


@pytest.mark.parametrize(
    ("blind", "kind"),
    [
        ((), "strace --seccomp-bpf, narrow"),
        (("syscalls",), "system calls in flight, sampled"),
        (("syscalls", "calls_in_flight"), "no system calls watched"),
    ],
)
def test_a_report_says_what_watched_the_system_calls(blind: tuple[str, ...], kind: str) -> None:
    assert report(replace(incident(), looks=without(*blind))).observer.kind == kind


def test_what_nobody_could_see_is_never_called_innocent() -> None:
    found = report(replace(incident(), looks=tuple(blind(name) for name in ("syscalls", "host"))))
    assert "discovery_cache_fsync" not in {line.cause for line in found.ruled_out}


@pytest.mark.parametrize(
    ("found", "headline"),
    [
        (evidence(50 * MS), "Nothing slow was found in these 50.0 ms"),
        (evidence(10 * S), "I can't tell: 10.0 s of 10.0 s have no explanation"),
    ],
)
def test_without_a_cause_the_headline_says_so(found: Evidence, headline: str) -> None:
    opinion = Opinion("nothing", standing="ruled_out", sentence="innocent")
    assert report(found, None, opinion).headline.startswith(headline)


def trial(name: str, *treated_ns: int, outcome: Any = "measured") -> Trial:
    return Trial(
        arms=(Arm(name="unchanged", walls_ns=UNCHANGED_NS), Arm(name=name, walls_ns=treated_ns)),
        experiments=(
            Experiment(id=name, outcome=outcome, estimate=paired(UNCHANGED_NS, treated_ns)),
        ),
        stopped="settled after 3 blocks",
    )


FAST_NS = (200 * MS, 210 * MS, 190 * MS)


def test_what_it_should_take_is_the_fastest_arm() -> None:
    found = report(incident(), trial("fsync_suppressed", *FAST_NS))
    assert found.expected_s == pytest.approx(0.2)
    assert found.expected_why == "median with fsync_suppressed"
    assert found.observer.overhead_s == pytest.approx(found.wall_s - 10.0)
    assert "experiments: settled after 3 blocks" in found.notes


@pytest.mark.parametrize(
    "measured",
    [
        trial("request_bare", *FAST_NS),
        trial("own_client", *FAST_NS),
        trial("cache_warm", *UNCHANGED_NS),
        trial("cache_warm", *FAST_NS, outcome="failed"),
        Trial(),
    ],
    ids=["another command", "another program", "nothing saved", "failed", "nothing run"],
)
def test_where_nothing_was_faster_it_is_not_said(measured: Trial) -> None:
    assert report(incident(), measured).expected_s is None


def test_an_interrupted_trial_without_arms_is_reported() -> None:
    found = report(incident(), Trial(stopped="interrupted"))
    assert found.observer.overhead_s is None
    assert "experiments: interrupted" in found.notes


def test_what_was_asked_for_is_told_whoever_is_suspected() -> None:
    asked = replace(trial("http1_only", *FAST_NS), asked=("http1_only",))
    (note,) = (one for one in report(incident(), asked).notes if "as asked for" in one)
    assert note.startswith("http1_only, as asked for: 200 ms, so it saves 9.80 s (95 % interval")
    refused = Experiment(id="bypass_vip", outcome="not_applicable", why="there is no balancer")
    found = report(incident(), Trial(experiments=(refused,), asked=("bypass_vip",)))
    assert "bypass_vip, as asked for: there is no balancer" in found.notes


def test_remedies_come_in_the_order_of_the_verdicts_and_once() -> None:
    cheap = suspect("cheap", 3, remedies=("b", "a"))
    dear = suspect("dear", 8, remedies=("a",), advice=(advise("c", incident()),))
    unknown = Opinion("unseen", standing="unknown", sentence="?", remedies=("z",), missing=("x",))
    found = report(incident(), None, cheap, dear, unknown)
    assert [one.id for one in found.remedies] == ["a", "c", "b"]
    assert found.verdicts[0].remedies == ("a", "c")


def test_a_client_that_held_itself_back_is_the_causes_cost_too() -> None:
    """A cache that cannot be written: the client's own rate limit is most of the time."""
    throttled = ClientNote(kind="throttled", at_ns=START + 9 * S, wait_ns=9 * S, subject="/apis")
    found = report(
        replace(
            evidence(10 * S),
            notes=(throttled,),
            cache=cache(state="unwritable", problem="it is full"),
        )
    )
    (line,) = (one for one in found.verdicts if one.cause == "cache_unwritable")
    assert line.verdict == "likely"


def test_a_warm_cache_is_told_with_its_end_and_with_what_explains_the_slow_run() -> None:
    warm = cache(state="warm", fresh_until_ns=START + 300 * S)
    found = report(replace(evidence(50 * MS), cold=False, cache=warm))
    (note,) = (one for one in found.notes if "warm" in one)
    assert "stays so until 20" in note
    assert "--cold explains the run that will hurt" in note
    assert found.cache is not None
    assert found.cache.fresh_until == "2027-01-15T08:05:00.000+00:00"


def test_a_run_with_a_cache_of_its_own_says_nothing_of_the_users() -> None:
    found = report(replace(evidence(50 * MS), cold=True, cache=cache(state="cold")))
    assert found.cache is not None
    assert "fresh cache directory" in found.cache.sentence
    assert not any("warm" in note for note in found.notes)


def test_a_command_that_is_not_repeated_says_why() -> None:
    found = report(
        replace(incident(), repeatable=False, repeatable_why="delete may change the cluster")
    )
    assert "it was not run again, since delete may change the cluster" in found.notes
    assert not found.command.repeatable


@pytest.mark.parametrize(
    "run",
    [
        Run(start_ns=START, end_ns=START + S, exit_code=7, stderr_tail="no"),
        Run(start_ns=START, end_ns=START + S, exit_code=None, signal=9),
        Run(start_ns=START, end_ns=START + S, exit_code=None, signal=2, interrupted=True),
    ],
)
def test_how_the_command_ended_is_kept(run: Run) -> None:
    told = report(replace(evidence(S), run=run)).command
    assert (told.exit_code, told.signal, told.interrupted, told.stderr_tail) == (
        run.exit_code,
        run.signal,
        run.interrupted,
        run.stderr_tail,
    )


def test_a_run_that_took_no_time_is_no_division_by_zero() -> None:
    assert report(evidence(0)).unexplained_share == 0


OWN = OwnRequest(
    verb="GET",
    url="https://h/api/v1/nodes",
    status=200,
    took_ns=2 * S,
    phases=(
        OwnPhase(kind="connect", took_ns=210_000, detail="10.0.0.1:6443"),
        OwnPhase(kind="tls", took_ns=1_620_000, detail="TLSv1.3"),
        OwnPhase(kind="server", took_ns=1_510 * MS),
        OwnPhase(kind="transfer", took_ns=100_000),
    ),
)


def test_what_the_same_request_took_our_own_client_is_told() -> None:
    found = report(replace(incident(), own_request=OWN))
    assert (
        "the same request by kubelag's own client, GET https://h/api/v1/nodes: "
        "connect 0.21 ms, TLS 1.62 ms, server 1.51 s, transfer 0.10 ms"
    ) in found.notes


@pytest.mark.parametrize("own", [None, replace(OWN, status=None)], ids=["not sent", "unanswered"])
def test_without_an_answer_to_our_own_client_nothing_is_told_of_it(own: OwnRequest | None) -> None:
    assert not any(
        "own client" in note for note in report(replace(incident(), own_request=own)).notes
    )
