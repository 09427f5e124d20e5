"""Trials on a machine that only pretends."""

from collections.abc import Iterator
from typing import Any

import pytest

from evidence import evidence
from kubelag.experiments import trial as trial_module
from kubelag.experiments.contract import (
    Kind,
    Situation,
)
from kubelag.experiments.scratch import Scratch
from kubelag.experiments.trial import TrialRunner
from kubelag.experiments.workshop import Workshop
from kubelag.launch import seccomp
from kubelag.model.experiment import Trial
from pretended_trial import UNCHANGED, Listener, Machine, Play


@pytest.fixture
def scratch() -> Iterator[Scratch]:
    with Scratch(None) as made:
        yield made


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def play(scratch: Scratch, listener: Listener, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Runs a trial on a machine that only pretends."""
    monkeypatch.setattr(seccomp, "probe", lambda: None)

    def run(machine: Machine, *kinds: Kind, budget_s: float = 1000.0, **more: Any) -> Trial:
        monkeypatch.setattr(trial_module, "run_timed", machine.run)
        situation = Situation(
            evidence=evidence(), unchanged=UNCHANGED, kubeconfig=None, workshop=Workshop()
        )
        runner = TrialRunner(
            situation,
            kinds,
            scratch,
            listener,
            budget_s=budget_s,
            clock=lambda: machine.now_s,
            **more,
        )
        return runner.run()

    return run
