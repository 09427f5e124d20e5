"""`cache-in-memory` cut short: killed after every step, stopped within one, failing in one."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kubelag.errors import RemedyError
from kubelag.remedies import survival, swap
from kubelag.remedies.cache_in_memory import CacheInMemory
from kubelag.remedies.contract import Context, Options

Snapshot = dict[str, tuple[object, ...]]
Snap = Callable[..., Snapshot]

needs_tmpfiles = pytest.mark.skipif(
    shutil.which("systemd-tmpfiles") is None, reason="systemd-tmpfiles is not installed"
)
remedy = CacheInMemory()


def left_behind(context: Context) -> list[str]:
    """What a complete undo leaves of ours anywhere; the lock is reused."""
    roots = (context.state_directory, context.paths.tmpfiles, context.paths.run)
    names = [path.name for root in roots for path in root.rglob("*")]
    return [name for name in names if name not in {"lock", "shm", "user", str(context.uid)}]


@needs_tmpfiles
@pytest.mark.parametrize("scope", ["whole", "http"])
def test_killed_after_any_step_of_apply_undo_restores_and_apply_applies(
    context: Context,
    home: Path,
    snapshot: Snap,
    killed_after: Callable[[Callable[[Context], object], Context, int], bool],
    scope: str,
) -> None:
    context = replace(context, options=Options(scope="http" if scope == "http" else "whole"))
    before = snapshot(home)
    steps = 1
    while killed_after(remedy.apply, context, steps):
        assert remedy.status(context).state in {"interrupted", "applied"}
        remedy.undo(context)
        assert snapshot(home) == before, f"undone after step {steps}"
        assert left_behind(context) == []

        assert killed_after(remedy.apply, context, steps)
        assert remedy.apply(context).state == "applied"
        assert remedy.verify(context).state == "applied"
        remedy.undo(context)
        assert snapshot(home) == before, f"applied and undone after step {steps}"
        steps += 1
    assert steps > 6
    remedy.undo(context)


@needs_tmpfiles
def test_killed_after_any_step_of_undo_it_can_be_undone_again(
    context: Context,
    home: Path,
    snapshot: Snap,
    killed_after: Callable[[Callable[[Context], object], Context, int], bool],
) -> None:
    before = snapshot(home)
    remedy.apply(context)
    steps = 1
    while killed_after(remedy.undo, context, steps):
        assert remedy.status(context).state in {"interrupted", "not_applied"}
        remedy.undo(context)
        assert snapshot(home) == before, f"step {steps}"
        assert left_behind(context) == []
        remedy.apply(context)
        steps += 1
    assert steps > 6
    assert snapshot(home) == before


@needs_tmpfiles
@pytest.mark.parametrize("call", ["_make_replacement", "exchange", "_remove_replacement"])
def test_stopped_within_the_swap_itself_undo_restores(
    context: Context, home: Path, snapshot: Snap, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    before = snapshot(home)
    if call == "_remove_replacement":
        remedy.apply(context)
    inner = getattr(swap, call)

    class PowerCutError(BaseException):
        pass

    def then_stop(*words: object) -> None:
        inner(*words)
        raise PowerCutError

    with monkeypatch.context() as patch:
        patch.setattr(swap, call, then_stop)
        with pytest.raises(PowerCutError):
            (remedy.undo if call == "_remove_replacement" else remedy.apply)(context)
    assert remedy.status(context).state == "interrupted"
    remedy.undo(context)
    assert snapshot(home) == before
    assert left_behind(context) == []


@needs_tmpfiles
@pytest.mark.parametrize("failing", ["create_now", "copy_cache"])
def test_a_failure_in_the_middle_leaves_nothing_half_done(
    context: Context, home: Path, snapshot: Snap, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def fail(*_words: object) -> None:
        raise OSError(28, "No space left on device", "somewhere")

    before = snapshot(home)
    where = survival if failing == "create_now" else "kubelag.remedies.cache_in_memory"
    if failing == "create_now":
        monkeypatch.setattr(where, failing, fail)
    else:
        monkeypatch.setattr("kubelag.remedies.cache_in_memory.copy_cache", fail)
    with pytest.raises(RemedyError, match="No space left on device"):
        remedy.apply(context)
    assert snapshot(home) == before
    assert left_behind(context) == []
    assert remedy.status(context).state == "not_applied"
