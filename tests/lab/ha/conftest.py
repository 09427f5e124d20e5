"""One HA lab for all tests of this directory, which leave it as they found it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.ha.building import build, why_no_ha
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.processes import find_marked
from kubelag.lab.state import Ledger


@pytest.fixture(scope="session", autouse=True)
def _possible() -> None:
    if obstacle := why_no_ha():
        pytest.skip(f"no HA lab here: {obstacle}")


@pytest.fixture(scope="session")
def ha(tmp_path_factory: pytest.TempPathFactory, _possible: None) -> Iterator[HaLab]:
    place = tmp_path_factory.mktemp("ha") / "state"
    with Ledger.open(place) as ledger:
        yield build(ledger, "embedded", ControlPlaneOptions(), lambda _: None)
    assert find_marked(ledger.token) == ()
    assert not list(Path("/run/netns").glob(f"*{ledger.token[:6]}*"))
    assert not place.exists()
