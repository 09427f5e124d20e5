"""What tests of the lab share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.ha.building import build, why_no_ha
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.private_files import make_private_directory
from kubelag.lab.processes import find_marked
from kubelag.lab.state import Ledger


@pytest.fixture(scope="module")
def ha(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HaLab]:
    """One HA lab for the tests of a module, which leave it as they found it.

    It stands where `kubelag lab` looks for one, in the directory above its own.
    """
    if obstacle := why_no_ha():
        pytest.skip(f"no HA lab here: {obstacle}")
    place = make_private_directory(tmp_path_factory.mktemp("ha") / "state") / "up"
    with Ledger.open(place) as ledger:
        yield build(ledger, "embedded", ControlPlaneOptions(), lambda _: None)
    assert find_marked(ledger.token) == ()
    assert not list(Path("/run/netns").glob(f"*{ledger.token[:6]}*"))
    assert not place.exists()
