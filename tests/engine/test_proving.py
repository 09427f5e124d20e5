"""Which experiments are run, and where the time went that was not saved."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evidence import MS, S, call, evidence, incident
from kubelag.causes.catalogue import all_causes
from kubelag.engine import proving
from kubelag.engine.proving import Bench, kinds_of, prove, wanted
from kubelag.engine.reporting import Judged, judge
from kubelag.engine.setting import Setting, look_at
from kubelag.experiments.contract import NotApplicableError, Situation, Variant
from kubelag.experiments.scratch import Scratch
from kubelag.experiments.statistics import paired
from kubelag.kube.secret import Secret
from kubelag.launch.child import Child
from kubelag.model.evidence import Evidence, Run
from kubelag.model.experiment import Arm, Experiment, Trial
from kubelag.model.verdict import Judgement
from program import fake_kubectl

UNCHANGED_NS = (10 * S, 10 * S + 5 * MS, 10 * S - 5 * MS)


def suspicion(*experiments: str, supporting: tuple[str, ...] = ()) -> Judgement:
    return Judgement(
        cause="c",
        standing="suspected",
        sentence="s",
        experiments=experiments,
        supporting=supporting,
    )


def test_what_each_cause_thinks_best_comes_first_and_each_name_once() -> None:
    names = wanted(
        (
            suspicion("cache_warm", "fsync_suppressed", supporting=("other_client",)),
            suspicion("direct_backend:b", "cache_warm", supporting=("own_client",)),
            suspicion(supporting=("direct_backend:a",)),
        )
    )
    assert names == (
        *("cache_warm", "direct_backend:b", "fsync_suppressed"),
        *("other_client", "own_client", "direct_backend:a"),
    )
    assert [kind.id for kind in kinds_of(names)] == [
        *("cache_warm", "direct_backend", "fsync_suppressed", "other_client", "own_client")
    ]


def test_every_experiment_that_a_cause_asks_for_exists() -> None:
    judged = judge(incident(), all_causes())
    named = wanted(judged.judgements)
    assert named
    assert all(len(kinds_of([name])) == 1 for name in named)


class FakeRunner:
    """Gives back a trial, and remembers the situation."""

    def __init__(self, trial: Trial | type[BaseException]) -> None:
        self.trial = trial
        self.situation: Situation | None = None

    def __call__(self, situation: Situation, *_args: Any, **_more: Any) -> "FakeRunner":
        self.situation = situation
        if isinstance(self.trial, type):
            raise self.trial
        return self

    def run(self) -> Trial:
        assert isinstance(self.trial, Trial)
        return self.trial

    def variant(self, name: str) -> Variant:
        assert self.situation is not None
        return self.situation.unchanged.but(argv=(name,), cache="own")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A setting that nothing is run in."""
    kubectl = fake_kubectl(tmp_path / "kubectl")
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    setting: Setting = look_at((str(kubectl), "version", "--client"), env)
    return Bench(setting=setting, child=Child(cgroup_procs=("/group",)), scratch=Scratch(None))


def saving(*treated_ns: int) -> Trial:
    estimate = paired(UNCHANGED_NS, treated_ns)
    return Trial(
        arms=(
            Arm(name="unchanged", walls_ns=UNCHANGED_NS),
            Arm(name="fsync_suppressed", walls_ns=treated_ns),
        ),
        experiments=(Experiment(id="fsync_suppressed", outcome="measured", estimate=estimate),),
        stopped="settled after 3 blocks",
    )


def play(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, trial: Trial | type[BaseException], **more: Any
) -> tuple[Trial, FakeRunner]:
    runner = FakeRunner(trial)
    monkeypatch.setattr(proving, "TrialRunner", runner)
    judged: Judged = judge(more.get("found", incident()), all_causes())
    return prove(judged, bench, None, 60.0), runner  # type: ignore[arg-type]


def observed(monkeypatch: pytest.MonkeyPatch, found: Evidence | type[Exception]) -> None:
    def observe(*_args: Any, **_more: Any) -> Evidence:
        if isinstance(found, type):
            raise found("no place")
        return found

    monkeypatch.setattr(proving, "look_at", lambda *_args: None)
    monkeypatch.setattr(proving, "observe", observe)


def never(*_args: Any, **_more: Any) -> Evidence:
    raise AssertionError("nothing more was to be run")


def test_where_nothing_is_suspected_nothing_is_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert play(bench, monkeypatch, AssertionError, found=evidence(50 * MS))[0] == Trial()


def test_what_was_predicted_was_saved_and_nothing_more_is_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proving, "observe", never)
    trial = saving(400 * MS, 405 * MS, 395 * MS)
    assert play(bench, monkeypatch, trial)[0] == trial


def test_what_was_not_saved_is_looked_for_in_one_treated_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = call("renameat", 0, 5 * S, "/home/u/.kube/cache/http/aa")
    observed(monkeypatch, replace(incident(), syscalls=(rename,)))
    trial, _ = play(bench, monkeypatch, saving(5 * S, 5 * S + MS, 5 * S - MS))
    (experiment,) = trial.experiments
    assert experiment.knock_on_ns == pytest.approx(5 * S, rel=0.01)
    assert experiment.knock_on_what == "opening, renaming and closing cache files (5.00 s)"


def test_where_nothing_grew_elsewhere_nothing_is_claimed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    observed(monkeypatch, replace(incident(), syscalls=()))
    trial = saving(5 * S, 5 * S + MS, 5 * S - MS)
    assert play(bench, monkeypatch, trial)[0] == trial


def test_ctrl_c_in_the_treated_run_keeps_what_was_measured(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(start_ns=0, end_ns=1, exit_code=None, signal=2, interrupted=True)
    observed(monkeypatch, replace(incident(), run=run))
    trial, _ = play(bench, monkeypatch, saving(5 * S, 5 * S + MS, 5 * S - MS))
    assert trial.stopped == "interrupted"
    assert trial.experiments[0].estimate is not None


def test_ctrl_c_while_the_experiments_are_prepared_ends_them(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert play(bench, monkeypatch, KeyboardInterrupt)[0] == Trial(stopped="interrupted")


def test_after_ctrl_c_nothing_more_is_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proving, "observe", never)
    trial = replace(saving(5 * S, 5 * S + MS, 5 * S - MS), stopped="interrupted")
    assert play(bench, monkeypatch, trial)[0] == trial


def test_a_treated_run_that_is_impossible_changes_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    observed(monkeypatch, NotApplicableError)
    trial = saving(5 * S, 5 * S + MS, 5 * S - MS)
    assert play(bench, monkeypatch, trial)[0] == trial


@pytest.mark.parametrize(
    ("state", "place"),
    [("cold", "as_observed"), ("unwritable", "own"), ("dangling_link", "own")],
)
def test_the_users_own_cache_is_used_only_where_it_cannot_be_written(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, state: Any, place: str
) -> None:
    found = incident()
    assert found.cache is not None
    changed = replace(found, cache=replace(found.cache, state=state))
    _, runner = play(bench, monkeypatch, Trial(), found=changed)
    assert runner.situation is not None
    assert runner.situation.unchanged.cache == place
    assert runner.situation.unchanged.child == Child(cgroup_procs=("/group",))


@pytest.mark.parametrize("end", [None, KeyboardInterrupt, RuntimeError])
def test_what_the_arms_needed_is_gone_whatever_ended_the_trial(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, end: type[BaseException] | None
) -> None:
    made: list[Path] = []

    class Making(FakeRunner):
        def run(self) -> Trial:
            assert self.situation is not None
            made.append(self.situation.workshop.kubeconfig(Secret(b"planted")))
            assert made[0].exists()
            if end:
                raise end
            return Trial()

    monkeypatch.setattr(proving, "TrialRunner", Making(Trial()))
    try:
        prove(judge(incident(), all_causes()), bench, None, 60.0)  # type: ignore[arg-type]
    except RuntimeError:
        assert end is RuntimeError
    assert not made[0].parent.exists()


def test_only_what_the_causes_name_is_asked_of_the_trial(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, Any] = {}

    class Asked(FakeRunner):
        def __call__(self, situation: Situation, *args: Any, **more: Any) -> FakeRunner:
            told.update(more, kinds=[kind.id for kind in args[0]])
            return super().__call__(situation)

    monkeypatch.setattr(proving, "TrialRunner", Asked(Trial()))
    judged = judge(incident(), all_causes())
    prove(judged, bench, None, 60.0)  # type: ignore[arg-type]
    assert told["wanted"] == wanted(judged.suspected)
    assert told["kinds"] == [kind.id for kind in kinds_of(told["wanted"])]


def test_an_arm_that_only_doses_is_not_looked_at_for_what_it_did_not_save(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proving, "observe", never)
    trial = saving(12 * S, 12 * S, 12 * S)
    dosed = replace(trial, experiments=(replace(trial.experiments[0], dose_ns=5 * MS),))
    assert play(bench, monkeypatch, dosed)[0] == dosed
