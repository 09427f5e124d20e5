"""The real kubectls that tests run: all of this machine's, and 1.20.2 wherever apt has it."""

import functools
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from kubelag.errors import LabError
from kubelag.kube.versions import FIXED_FSYNC, Version, parse_version
from kubelag.lab.debian_client import unpack_kubectl
from kubelag.observe.client import ask_version
from kubelag.observe.other_clients import find_kubectls

OVERRIDE = "KUBELAG_TEST_KUBECTLS"
"""Paths of kubectl binaries, separated by colons, to be tested instead of those at hand."""
OLD = Version(1, 20, 2)
"""The client of the founding incident."""
ANSWER_S = 30.0


def pytest_configure() -> None:
    """Let Ctrl-C reach what the tests start, also where a shell's `&` had it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@functools.cache
def at_hand() -> Mapping[Version, str]:
    """One path for each version; wrappers left out. Asked once, and only if used."""
    if named := os.environ.get(OVERRIDE):
        found = [(path, ask_version(path, os.environ, ANSWER_S)[0]) for path in named.split(":")]
    else:
        found = [(one.path, one.version) for one in find_kubectls(os.environ) if not one.is_wrapper]
    return {version: path for path, text in found if (version := parse_version(text or ""))}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each kubectl."""
    if "kubectl_path" not in metafunc.fixturenames:
        return
    tested = {*at_hand(), *(() if os.environ.get(OVERRIDE) else (OLD,))}
    metafunc.parametrize("kubectl_path", sorted(tested), indirect=True, scope="session", ids=_name)


def _name(version: Version) -> str:
    return f"kubectl-{version}"


@pytest.fixture(scope="session")
def kubectl_path(request: pytest.FixtureRequest) -> Path:
    """Each kubectl in turn."""
    if request.param in at_hand():
        return Path(at_hand()[request.param])
    fetched: Path = request.getfixturevalue("old_kubectl")
    return fetched


@pytest.fixture(scope="session")
def lab_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An XDG_CACHE_HOME for every lab of the session, so that a client is fetched once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def old_kubectl_or_none(lab_cache: Path) -> Path | None:
    """The oldest kubectl, if its cache syncs; fetched where the machine has none."""
    if at_hand() and (oldest := min(at_hand())) < FIXED_FSYNC:
        return Path(at_hand()[oldest])
    try:
        return unpack_kubectl(str(OLD), {"XDG_CACHE_HOME": str(lab_cache)}).path
    except LabError:
        return None


@pytest.fixture(scope="session")
def old_kubectl(old_kubectl_or_none: Path | None) -> Path:
    """A kubectl from before 1.25, whose cache syncs."""
    if old_kubectl_or_none is None:
        pytest.skip(f"kubectl {OLD} is not here and cannot be fetched; name one in {OVERRIDE}")
    return old_kubectl_or_none


@pytest.fixture(scope="session")
def new_kubectl() -> Path:
    """The newest kubectl, whose cache does not sync."""
    if not at_hand() or (newest := max(at_hand())) < FIXED_FSYNC:
        pytest.skip(f"this machine has no kubectl from {FIXED_FSYNC} on; name one in {OVERRIDE}")
    return Path(at_hand()[newest])
