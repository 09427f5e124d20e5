"""What was found is handed over before anything is taken away, so that it is told in any case."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from kubelag.cli.progress import QuietTeller
from kubelag.errors import LabError
from kubelag.lab import rehearsal
from kubelag.lab.faults.contract import Fault, HaFault, LabParts, Scene
from kubelag.lab.ha import rehearsal as ha_rehearsal
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.rehearsal import rehearsed
from kubelag.lab.state import STATE_VARIABLE

SCENE = Scene(command=("true",), environment={}, cold=False)
FOUND: Any = object()
"""What stands for an explanation, or a report: it is handed on and not looked at."""


class Sticky:
    """A fault that does not go away, in either lab."""

    id = "sticky"
    expected = ()
    how_to_see = "kubelag lab exec -- true"

    def obstacle(self) -> str:
        return ""

    @contextmanager
    def inject(self, _parts: LabParts) -> Iterator[Scene]:
        yield SCENE
        raise LabError("It stays")

    def component(self, _ha: HaLab) -> tuple[str, ...]:
        return ()

    def scene(self, _ha: HaLab) -> Scene:
        return SCENE


def test_a_fault_that_stays_swallows_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsal, "explain", lambda _wish, _teller: FOUND)
    told = []
    environment = {STATE_VARIABLE: str(tmp_path / "state"), "PATH": "/nowhere"}
    monkeypatch.setattr(rehearsal, "_newest", lambda _environment: Path("/nowhere/kubectl"))
    with (
        pytest.raises(LabError, match="It stays"),
        rehearsed(cast("Fault", Sticky()), environment, QuietTeller(), None) as found,
    ):
        told.append(found.explained)
    assert told == [FOUND]
    assert list((tmp_path / "state").iterdir()) == []


def test_a_fault_of_the_ha_lab_that_stays_swallows_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stay(*_: object) -> None:
        raise LabError("It stays")

    @contextmanager
    def no_lab(*_: object) -> Iterator[None]:
        yield

    monkeypatch.setattr(ha_rehearsal, "_lab_for", no_lab)
    monkeypatch.setattr(ha_rehearsal, "switch_on", lambda *_: "it acts")
    monkeypatch.setattr(ha_rehearsal, "switch_off", stay)
    monkeypatch.setattr(ha_rehearsal, "_explain", lambda *_: 0)
    monkeypatch.setattr(ha_rehearsal, "_report", lambda _place: FOUND)
    wish, told = ha_rehearsal.Wish(save=tmp_path / "bundle"), []
    with (
        pytest.raises(LabError, match="It stays"),
        ha_rehearsal.rehearsed_ha(cast("HaFault", Sticky()), {}, wish, lambda _: None) as found,
    ):
        told.append(found.report)
    assert told == [FOUND]
