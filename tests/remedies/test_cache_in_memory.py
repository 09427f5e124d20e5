"""`cache-in-memory`: applied, verified, rebooted, undone; killed at every step; refused."""

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kubelag.errors import RefusedError, RemedyError
from kubelag.remedies import swap
from kubelag.remedies.cache_in_memory import CacheInMemory
from kubelag.remedies.contract import Context, Options
from kubelag.remedies.journal import Journals

Snapshot = dict[str, tuple[object, ...]]
Snap = Callable[..., Snapshot]

needs_tmpfiles = pytest.mark.skipif(
    shutil.which("systemd-tmpfiles") is None, reason="systemd-tmpfiles is not installed"
)
remedy = CacheInMemory()


def cache_of(home: Path) -> Path:
    return home / ".kube" / "cache"


def left_behind(context: Context) -> list[str]:
    """What a complete undo leaves of ours anywhere; the lock is reused."""
    roots = (context.state_directory, context.paths.tmpfiles, context.paths.run)
    names = [path.name for root in roots for path in root.rglob("*")]
    return [name for name in names if name not in {"lock", "shm", "user", str(context.uid)}]


@needs_tmpfiles
def test_plan_names_every_change_and_makes_none(
    context: Context, home: Path, tmp_path: Path, snapshot: Snap
) -> None:
    before = snapshot(tmp_path)
    plan = remedy.plan(context)
    assert snapshot(tmp_path) == before
    assert not plan.obstacle
    paths = [change.path for change in plan.changes]
    assert str(cache_of(home)) in paths
    assert f"{cache_of(home)}.kubelag-saved" in paths
    assert any(path.endswith(".conf") for path in paths)


@needs_tmpfiles
def test_apply_moves_the_whole_cache_warm_and_undo_restores_it_exactly(
    context: Context, home: Path, snapshot: Snap
) -> None:
    before = snapshot(home)
    status = remedy.apply(context)
    assert status.state == "applied"
    link = cache_of(home)
    directory = link.readlink()
    found = directory.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o700, context.uid)
    copied = link / "discovery/h/v1/serverresources.json"
    assert copied.read_text() == "content of discovery/h/v1/serverresources.json"
    assert copied.stat().st_mtime_ns == 10**18
    assert remedy.verify(context).state == remedy.status(context).state == "applied"
    assert remedy.plan(context).already_applied
    (link / "discovery/new").write_text("what kubectl has cached meanwhile")

    assert remedy.undo(context).state == "not_applied"
    assert snapshot(home) == before
    assert left_behind(context) == []
    assert remedy.undo(context).state == "not_applied"


@needs_tmpfiles
def test_applying_twice_changes_nothing_more(context: Context, home: Path, snapshot: Snap) -> None:
    remedy.apply(context)
    once = snapshot(home, context.paths.run)
    assert remedy.apply(context).state == "applied"
    assert snapshot(home, context.paths.run) == once


@needs_tmpfiles
@pytest.mark.real
def test_after_a_reboot_the_very_systemd_tmpfiles_makes_the_directory_again(
    context: Context, home: Path
) -> None:
    if context.uid != 0:
        pytest.skip("only root writes system configuration")
    remedy.apply(context)
    directory = cache_of(home).readlink()
    shutil.rmtree(directory.parent)  # what a reboot does to a tmpfs
    assert not cache_of(home).exists()
    assert remedy.status(context).state == "broken"
    (configuration,) = context.paths.tmpfiles.glob("*.conf")

    subprocess.run(["systemd-tmpfiles", "--create", "--boot", configuration], check=True)

    assert remedy.verify(context).state == "applied"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(directory.parent.stat().st_mode) == 0o700
    (cache_of(home) / "written").write_text("x")
    (cache_of(home) / "written").unlink()
    subprocess.run(["systemd-tmpfiles", "--clean", configuration], check=True)
    assert remedy.verify(context).state == "applied"


@needs_tmpfiles
def test_another_scope_needs_an_undo_first(context: Context) -> None:
    remedy.apply(context)
    with pytest.raises(RemedyError, match="kubelag fix undo cache-in-memory"):
        remedy.apply(replace(context, options=Options(scope="http")))


@needs_tmpfiles
def test_apply_makes_a_lost_directory_again(context: Context, home: Path) -> None:
    remedy.apply(context)
    shutil.rmtree(cache_of(home).readlink().parent)
    assert remedy.status(context).next_step == "kubelag fix apply cache-in-memory"
    assert remedy.apply(context).state == "applied"
    assert cache_of(home).is_dir()


def test_where_nothing_survives_only_the_http_part_is_linked(plain: Context, home: Path) -> None:
    status = remedy.apply(plain)
    assert status.state == "applied"
    assert not cache_of(home).is_symlink()
    link = cache_of(home) / "http"
    assert (link / "abc").read_text() == "content of http/abc"
    shutil.rmtree(link.readlink().parent)
    status = remedy.status(plain)
    assert (status.state, status.next_step) == ("applied", "kubelag fix apply cache-in-memory")
    assert remedy.apply(plain).state == "applied"
    assert link.is_dir()


def test_the_whole_cache_is_refused_where_it_would_dangle_after_a_reboot(
    plain: Context, home: Path, snapshot: Snap
) -> None:
    whole = replace(plain, options=Options(scope="whole"))
    before = snapshot(home)
    plan = remedy.plan(whole)
    assert "after a reboot" in plan.obstacle
    assert "--until-reboot" in plan.next_step
    with pytest.raises(RefusedError, match="--until-reboot"):
        remedy.apply(whole)
    assert snapshot(home) == before

    accepted = replace(plain, options=Options(until_reboot=True))
    assert "dangles" in remedy.plan(accepted).warnings[0]
    assert remedy.apply(accepted).state == "applied"
    assert cache_of(home).is_symlink()
    remedy.undo(plain)
    assert snapshot(home) == before


def _absent(home: Path) -> None:
    shutil.rmtree(home / ".kube")


def _no_cache(home: Path) -> None:
    shutil.rmtree(cache_of(home))


def _link(home: Path) -> None:
    cache_of(home).rename(home / "elsewhere")
    cache_of(home).symlink_to("../elsewhere")


def _dangling(home: Path) -> None:
    shutil.rmtree(cache_of(home))
    cache_of(home).symlink_to("/nowhere/at/all")


def _file(home: Path) -> None:
    shutil.rmtree(cache_of(home))
    cache_of(home).write_text("a file")


def _as_it_is(_home: Path) -> None:
    """A directory."""


@needs_tmpfiles
@pytest.mark.parametrize("former", [_absent, _no_cache, _link, _dangling, _file, _as_it_is])
@pytest.mark.parametrize("is_exchange_possible", [True, False], ids=["exchange", "two renames"])
def test_whatever_was_there_is_there_again(  # noqa: PLR0917 -- fixtures
    context: Context,
    home: Path,
    snapshot: Snap,
    former: Callable[[Path], None],
    is_exchange_possible: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not is_exchange_possible:
        monkeypatch.setattr(swap, "exchange", lambda *_: False)
    former(home)
    before = snapshot(home)
    assert remedy.apply(context).state == "applied"
    assert (cache_of(home)).is_dir()
    remedy.undo(context)
    after = snapshot(home)
    if former is _absent:  # the home itself has had an entry made and removed
        del before[str(home)], after[str(home)]
    assert after == before


@needs_tmpfiles
def test_systemd_tmpfiles_is_only_ever_let_near_our_own_directory(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All rules of a machine, with --remove, would empty /tmp."""
    calls: list[list[str]] = []
    inner = subprocess.run

    def listen(argv: list[str], **more: object) -> object:
        calls.append(argv)
        return inner(argv, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", listen)
    remedy.apply(context)
    remedy.verify(context)
    (journal,) = Journals(context.state_directory).all()
    assert len(calls) >= 2
    for argv in calls:
        assert argv[-1] == journal.files[0].path
        assert f"--prefix={Path(journal.memory or '').parent}" in argv
        assert not {"--remove", "--clean", "--boot"} & set(argv)


def test_a_foreign_home_is_refused(context: Context, home: Path, snapshot: Snap) -> None:
    if context.uid != 0:
        pytest.skip("only root can give a home away")
    os.chown(home / ".kube", 65534, 65534)
    before = snapshot(home)
    with pytest.raises(RefusedError, match="belongs to user 65534, and you are root"):
        remedy.apply(context)
    assert snapshot(home) == before


@pytest.mark.parametrize("squat", ["link", "open", "foreign"])
def test_what_others_made_in_shared_memory_is_not_used(
    plain: Context, home: Path, snapshot: Snap, squat: str
) -> None:
    top = plain.paths.shared_memory / f"kubelag-{plain.uid}"
    if squat == "link":
        (home / "trap").mkdir()
        top.symlink_to(home / "trap")
    else:
        top.mkdir(mode=0o700)
    if squat == "open":
        top.chmod(0o777)
    if squat == "foreign":
        if plain.uid != 0:
            pytest.skip("only root can give a directory away")
        os.chown(top, 65534, 65534)
    before = snapshot(home)
    with pytest.raises(RefusedError, match="is not used"):
        remedy.apply(plain)
    assert snapshot(home) == before
    assert top.lstat()


def test_in_shared_memory_a_link_that_others_can_read_is_refused(
    plain: Context, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_open(self: Path) -> os.stat_result:
        found = os.stat(self)  # noqa: PTH116 -- Path.stat is what is replaced
        return os.stat_result((found.st_mode | 0o005, *found[1:]))

    monkeypatch.setattr(Path, "stat", lambda self, **_: is_open(self))
    with pytest.raises(RefusedError, match="chmod o-rx"):
        remedy.apply(replace(plain, options=Options(scope="http")))
    monkeypatch.undo()
    assert not (cache_of(home) / "http").is_symlink()


@needs_tmpfiles
def test_two_at_once_do_not_meet(context: Context) -> None:
    with (
        Journals(context.state_directory).locked(),
        pytest.raises(RemedyError, match="another `kubelag fix` is at work"),
    ):
        remedy.apply(context)
    assert remedy.apply(context).state == "applied"


@needs_tmpfiles
def test_a_link_replaced_by_others_is_said_and_never_deleted(context: Context, home: Path) -> None:
    remedy.apply(context)
    cache_of(home).unlink()
    cache_of(home).mkdir()
    (cache_of(home) / "precious").write_text("x")
    assert remedy.status(context).state == "broken"
    with pytest.raises(RemedyError, match=r"move .* away, then undo again"):
        remedy.undo(context)
    cache_of(home).rename(home / "moved")
    assert remedy.undo(context).state == "not_applied"
    assert (cache_of(home) / "http/abc").exists()
    assert (home / "moved/precious").exists()


def test_a_link_to_nowhere_left_by_others_is_recognised(plain: Context, home: Path) -> None:
    _dangling(home)
    status = remedy.status(plain)
    assert (status.state, status.next_step) == ("broken", "kubelag fix apply repair-cache-link")
    assert "repair-cache-link" in remedy.plan(plain).next_step


def test_a_cache_in_memory_already_is_left_alone(plain: Context, memory: Path) -> None:
    (memory / "cache/http").mkdir(parents=True)
    there = replace(plain, options=Options(cache_dir=str(memory / "cache")))
    assert "is in memory already" in remedy.plan(there).obstacle


@needs_tmpfiles
def test_what_makes_it_survive_is_verified(context: Context) -> None:
    remedy.apply(context)
    (configuration,) = (Path(one.path) for one in _journal(context).files[:1])
    text = configuration.read_text()
    configuration.write_text(text + "# edited\n")
    assert remedy.verify(context).state == "broken"
    status = remedy.undo(context)
    assert "was left, since somebody has changed it" in status.detail
    assert configuration.exists()


def _journal(context: Context):  # type: ignore[no-untyped-def]  # noqa: ANN202 -- a helper
    (journal,) = Journals(context.state_directory).all()
    return journal


def test_no_memory_is_one_sentence_with_another_way(plain: Context, tmp_path: Path) -> None:
    nowhere = replace(plain, paths=replace(plain.paths, shared_memory=tmp_path))
    with pytest.raises(RemedyError, match="run --no-sync"):
        remedy.apply(nowhere)


def test_a_damaged_journal_is_one_sentence(plain: Context) -> None:
    remedy.apply(plain)
    (path,) = plain.state_directory.glob("*.json")
    path.write_text("{")
    with pytest.raises(RemedyError, match="is damaged"):
        remedy.undo(plain)


def test_a_large_cache_stays_behind(
    plain: Context, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kubelag.remedies.cache_copy.LIMIT_BYTES", 10)
    remedy.apply(plain)
    assert list((cache_of(home) / "http").iterdir()) == []
    remedy.undo(plain)
    assert len(list((cache_of(home) / "http").iterdir())) == 2
