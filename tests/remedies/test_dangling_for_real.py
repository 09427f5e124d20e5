"""What a dangling link costs real kubectl, and that this remedy never lets it come to that.

Counts requests at -v=6, not seconds.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kubelag.remedies.cache_in_memory import CacheInMemory
from kubelag.remedies.contract import Context, Options
from kubelag.remedies.repair_cache_link import RepairCacheLink

pytestmark = pytest.mark.real

REQUEST = re.compile(r'GET https|verb="GET"')
LISTS = 3
"""/api, /apis and the list itself; every group-version comes on top."""


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The lab's control plane with few groups: the old client throttles itself beyond 100."""
    pytest.importorskip("hypercorn", reason="the lab's packages are not installed")
    from kubelag.lab.control_plane.embedded import start_embedded  # noqa: PLC0415 -- an extra
    from kubelag.lab.control_plane.options import ControlPlaneOptions  # noqa: PLC0415 -- the same

    options = ControlPlaneOptions(custom_groups=0)
    server = start_embedded(tmp_path_factory.mktemp("server") / "lab", options)
    yield server.kubeconfig()
    server.stop()


def requests(kubectl: Path, kubeconfig: Path, context: Context) -> int:
    done = subprocess.run(
        [kubectl, "get", "nodes", "-v=6"],
        env={"HOME": context.env["HOME"], "PATH": os.defpath, "KUBECONFIG": str(kubeconfig)},
        capture_output=True,
        text=True,
        check=True,
    )
    return len(REQUEST.findall(done.stderr))


@pytest.fixture(scope="module")
def cold() -> int:
    """How many requests a cold run sends."""
    from kubelag.lab.control_plane.builtin import load_builtin  # noqa: PLC0415 -- an extra

    return load_builtin().group_version_count + LISTS


@pytest.fixture
def no_cache(context: Context) -> Context:
    """The machine with an empty home."""
    shutil.rmtree(Path(context.env["HOME"]) / ".kube")
    return context


def reboot(context: Context) -> None:
    """What a reboot does to what is in memory."""
    for path in context.paths.run.rglob("kubelag-*"):
        shutil.rmtree(path, ignore_errors=True)


def test_a_dangling_link_of_the_whole_cache_is_worse_than_the_disease(
    no_cache: Context, old_kubectl: Path, kubeconfig: Path, cold: int
) -> None:
    """The trap, as others leave it; and its repair, which can be undone."""
    cache = Path(no_cache.env["HOME"]) / ".kube" / "cache"
    cache.parent.mkdir()
    cache.symlink_to("/dev/shm/no-longer-there")
    counts = [requests(old_kubectl, kubeconfig, no_cache) for _ in range(2)]
    assert min(counts) > 2 * cold, counts
    assert CacheInMemory().status(no_cache).state == "broken"

    repair = RepairCacheLink()
    assert repair.apply(no_cache).state == "applied"
    counts = [requests(old_kubectl, kubeconfig, no_cache) for _ in range(2)]
    assert counts == [cold, 1]
    repair.undo(no_cache)
    assert str(cache.readlink()) == "/dev/shm/no-longer-there"


def test_a_dangling_link_of_the_http_part_alone_costs_nothing(
    no_cache: Context, old_kubectl: Path, new_kubectl: Path, kubeconfig: Path, cold: int
) -> None:
    http = replace(no_cache, options=Options(scope="http"))
    for kubectl in (old_kubectl, new_kubectl):
        CacheInMemory().apply(http)
        reboot(http)
        counts = [requests(kubectl, kubeconfig, http) for _ in range(2)]
        assert counts == [cold, 1], kubectl
        CacheInMemory().undo(http)
        shutil.rmtree(Path(http.env["HOME"]) / ".kube", ignore_errors=True)


@pytest.mark.skipif(
    shutil.which("systemd-tmpfiles") is None, reason="systemd-tmpfiles is not installed"
)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes system configuration")
def test_the_whole_cache_is_warm_again_after_a_reboot_with_systemd_tmpfiles(
    no_cache: Context, old_kubectl: Path, kubeconfig: Path, cold: int
) -> None:
    assert CacheInMemory().apply(no_cache).state == "applied"
    counts = [requests(old_kubectl, kubeconfig, no_cache) for _ in range(2)]
    assert counts == [cold, 1]
    reboot(no_cache)
    assert requests(old_kubectl, kubeconfig, no_cache) > 2 * cold

    (configuration,) = no_cache.paths.tmpfiles.glob("*.conf")
    subprocess.run(["systemd-tmpfiles", "--create", "--boot", configuration], check=True)
    counts = [requests(old_kubectl, kubeconfig, no_cache) for _ in range(2)]
    assert counts == [cold, 1]


def test_the_first_command_after_apply_is_as_warm_as_before(
    no_cache: Context, new_kubectl: Path, kubeconfig: Path, cold: int
) -> None:
    assert requests(new_kubectl, kubeconfig, no_cache) == cold
    CacheInMemory().apply(no_cache)
    assert requests(new_kubectl, kubeconfig, no_cache) == 1
    CacheInMemory().undo(no_cache)
    assert requests(new_kubectl, kubeconfig, no_cache) == 1
