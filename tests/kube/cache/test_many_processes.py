"""Whoever reads while others write, or after one was killed, reads all of it or nothing."""

import os
import signal
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from cache_snapshots import NOW_S, SERVER, resource, snapshot
from kubelag.kube.cache.place import Place
from kubelag.kube.cache.store import Store
from kubelag.kube.cache.tree import read_tree
from kubelag.kube.cache.verify import verify
from kubelag.kube.discovery.snapshot import GroupVersion, Snapshot
from kubelag.kube.transport.messages import Response

MakeStore = Callable[..., Store]
PROCESSES = 200
ROUNDS = 3
POLICIES = ("checksummed", "synced")
STEPS = ("open", "write", "fchmod", "utime", "rename", "mkdir", "unlink", "fsync", "close", "dup")
DAMAGE = frozenset({"zero-length", "truncated", "undecodable", "NUL-filled", "damaged"})


def generation(number: int, groups: int = 6) -> Snapshot:
    """A snapshot that bears its number in every part."""
    plain = snapshot(groups, fetched_s=NOW_S + number / 1000)
    name = f"things{'x' * (number % 7)}{number}"
    return plain.but(
        etags={"/apis": str(number)},
        group_versions={
            each: GroupVersion(name=each, resources=(resource(name),))
            for each in plain.group_versions
        },
    )


def _number(etags: Iterable[str]) -> int:
    return int(next(iter(etags)))


def _is_whole(found: Snapshot) -> bool:
    """Of one generation, where it is ours; where it is kubectl's, undamaged."""
    if found.source == "kubectl":
        return all(
            each.state == "ok" or "missing" in each.why for each in found.group_versions.values()
        )
    return found == generation(_number(found.etags.values()))


def _write(make_store: MakeStore, policy: str, number: int) -> None:
    store = make_store(policy=policy, at_s=NOW_S + 10)
    body = b"x" * (1000 + number)
    store.put(
        f"{SERVER}/apis?timeout=32s", Response(status=200, headers={"etag": "E"}, body=body), "a"
    )
    store.save(generation(number))
    store.flush()
    if store.troubles:
        raise AssertionError(store.troubles)


def _read(make_store: MakeStore, place: Place) -> None:
    store = make_store(at_s=NOW_S + 10)
    index = store.index()
    if index is not None:
        rows = tuple(tuple(row) for row in index.rows)
        wanted = generation(_number(index.etags.values()))
        assert [row[1] for row in rows] == [
            each.resources[0]["name"] for each in wanted.group_versions.values()
        ]
    found = store.snapshot()
    assert found is None or _is_whole(found), found
    for flaw in read_tree(place, NOW_S + 10).flaws:
        assert flaw.problem == "missing", flaw


def _fork(action: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    return pid


@pytest.mark.parametrize("policy", POLICIES)
def test_two_hundred_processes_never_read_anything_damaged(
    policy: str, make_store: MakeStore, place: Place, root: Path
) -> None:
    def work(number: int) -> None:
        for turn in range(ROUNDS):
            if number % 2:
                _write(make_store, policy, number + PROCESSES * turn)
            else:
                _read(make_store, place)

    children = [_fork(lambda number=number: work(number)) for number in range(PROCESSES)]  # type: ignore[misc]
    failed = [pid for pid in children if os.waitpid(pid, 0)[1] != 0]
    assert failed == []
    assert verify(str(root), now_s=NOW_S + 10).damages == ()
    assert make_store(at_s=NOW_S + 10).snapshot() is not None


@pytest.mark.parametrize("policy", POLICIES)
def test_a_writer_killed_at_any_step_leaves_the_old_the_new_or_nothing(
    policy: str, make_store: MakeStore, root: Path, place: Place
) -> None:
    def kill_at(step: int) -> None:
        left = iter(range(step))

        def counted(real: Callable[..., object]) -> Callable[..., object]:
            def call(*arguments: object, **named: object) -> object:
                if next(left, None) is None:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*arguments, **named)

            return call

        for name in STEPS:
            setattr(os, name, counted(getattr(os, name)))
        _write(make_store, policy, step + 2)

    _write(make_store, policy, 1)
    number, step, was_killed = 1, 0, True
    while was_killed:
        pid = _fork(lambda step=step: kill_at(step))  # type: ignore[misc]
        status = os.waitpid(pid, 0)[1]
        was_killed = os.WIFSIGNALED(status)
        assert was_killed or status == 0
        found = make_store(at_s=NOW_S + 10).snapshot()
        assert found is not None
        assert _is_whole(found)
        if found.source != "kubectl":
            assert _number(found.etags.values()) in {number, step + 2}
            number = _number(found.etags.values())
        _read(make_store, place)
        problems = {each.problem for each in verify(str(root), now_s=NOW_S + 10).damages}
        assert not problems & DAMAGE
        step += 1
    assert step > 50
