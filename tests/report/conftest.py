import runpy
from collections.abc import Mapping
from pathlib import Path

import pytest

from kubelag.model.report import Report

_SAMPLES: Mapping[str, Report] = runpy.run_path(str(Path(__file__).with_name("samples.py")))[
    "SAMPLES"
]


@pytest.fixture
def samples() -> Mapping[str, Report]:
    """Every sample by its name."""
    return _SAMPLES


@pytest.fixture(params=_SAMPLES)
def sample_name(request: pytest.FixtureRequest) -> str:
    """The name of each sample in turn."""
    return str(request.param)


@pytest.fixture
def sample(sample_name: str) -> Report:
    """Each sample in turn."""
    return _SAMPLES[sample_name]


@pytest.fixture
def incident() -> Report:
    """The founding incident, proven."""
    return _SAMPLES["incident"]
