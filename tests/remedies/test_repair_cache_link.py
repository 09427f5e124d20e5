"""`repair-cache-link`: a directory where the cache is a link to nowhere."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from kubelag.errors import RefusedError, RemedyError
from kubelag.remedies import swap
from kubelag.remedies.cache_in_memory import CacheInMemory
from kubelag.remedies.contract import Context
from kubelag.remedies.repair_cache_link import RepairCacheLink

Snap = Callable[..., dict[str, tuple[object, ...]]]
remedy = RepairCacheLink()


@pytest.fixture(params=["cache", "cache/discovery"])
def link(request: pytest.FixtureRequest, home: Path) -> Path:
    """The cache, or its discovery part, as a link to nowhere."""
    path: Path = home / ".kube" / request.param
    shutil.rmtree(path)
    path.symlink_to("/nowhere/at/all")
    return path


def test_it_is_planned_applied_and_undone_exactly(
    context: Context, home: Path, link: Path, snapshot: Snap
) -> None:
    before = snapshot(home)
    plan = remedy.plan(context)
    assert [change.path for change in plan.changes] == [f"{link}.kubelag-dangling", str(link)]
    assert snapshot(home) == before

    assert remedy.apply(context).state == remedy.verify(context).state == "applied"
    assert link.is_dir()
    assert not link.is_symlink()
    (link / "servergroups.json").write_text("x")
    assert remedy.apply(context).state == "applied"
    assert remedy.plan(context).already_applied

    assert remedy.undo(context).state == "not_applied"
    assert snapshot(home) == before
    assert list(context.state_directory.glob("*.json")) == []


def test_what_somebody_put_there_since_is_never_removed(context: Context, link: Path) -> None:
    remedy.apply(context)
    (link / "host").mkdir()
    (link / "host" / "config").write_text("mine")
    with pytest.raises(RemedyError, match="config came into the repaired directory") as refused:
        remedy.undo(context)
    assert "move" in refused.value.next_step
    assert (link / "host" / "config").read_text() == "mine"
    (link / "host" / "config").unlink()
    assert remedy.undo(context).state == "not_applied"
    assert link.is_symlink()


def test_what_kubectl_cached_since_goes(context: Context, link: Path) -> None:
    remedy.apply(context)
    for entry in ("host/v1/serverresources.json", "host/servergroups.json.123"):
        (link / entry).parent.mkdir(parents=True, exist_ok=True)
        (link / entry).write_text("x")
    (link / "http").mkdir()
    (link / "http" / ("a" * 64)).write_text("x")
    assert remedy.undo(context).state == "not_applied"


def test_the_name_of_a_parent_does_not_make_it_an_http_cache(tmp_path: Path) -> None:
    cache = tmp_path / "http" / "cache"
    cache.mkdir(parents=True)
    (cache / "servergroups.json").write_text("x")
    assert list(swap._not_cached(cache, "cache")) == []
    (cache / "elsewhere").symlink_to(tmp_path)
    assert list(swap._not_cached(cache, "cache")) == [cache / "elsewhere"]


def test_killed_after_any_step_it_can_be_undone_and_applied(
    context: Context,
    home: Path,
    link: Path,
    snapshot: Snap,
    killed_after: Callable[[Callable[[Context], object], Context, int], bool],
) -> None:
    before = snapshot(home)
    steps = 1
    while killed_after(remedy.apply, context, steps):
        remedy.undo(context)
        assert snapshot(home) == before, steps
        assert killed_after(remedy.apply, context, steps)
        assert remedy.apply(context).state == "applied"
        assert link.is_dir()
        remedy.undo(context)
        assert snapshot(home) == before, steps
        steps += 1
    assert steps > 4


def test_a_healthy_cache_needs_no_repair(context: Context, home: Path, snapshot: Snap) -> None:
    before = snapshot(home)
    assert "no link to repair" in remedy.plan(context).obstacle
    with pytest.raises(RemedyError, match="there is nothing to do"):
        remedy.apply(context)
    assert remedy.undo(context).detail.startswith("nothing to undo")
    assert snapshot(home) == before


def test_a_foreign_link_is_refused(context: Context, link: Path) -> None:
    if context.uid != 0:
        pytest.skip("only root can give a link away")
    os.chown(link.parent, 65534, 65534)
    with pytest.raises(RefusedError, match="belongs to user"):
        remedy.apply(context)


def test_after_the_repair_the_cache_can_be_moved_to_memory(plain: Context, home: Path) -> None:
    shutil.rmtree(home / ".kube" / "cache")
    (home / ".kube" / "cache").symlink_to("/nowhere/at/all")
    with pytest.raises(RemedyError, match="repair-cache-link"):
        CacheInMemory().apply(plain)
    remedy.apply(plain)
    assert CacheInMemory().apply(plain).state == "applied"
    CacheInMemory().undo(plain)
    remedy.undo(plain)
    assert (home / ".kube" / "cache").is_symlink()
