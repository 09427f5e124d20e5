"""A cache that cannot be written costs one clause and no command; nobody else's is touched."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cache_snapshots import NOW_S, SERVER, snapshot
from kubelag.kube.cache.store import Store
from kubelag.kube.transport.messages import Response

MakeStore = Callable[..., Store]
InChild = Callable[[Callable[[], str], int | None], str]
NOBODY = 65534
ENTRY = Response(status=200, headers={"etag": "E"}, body=b"x" * 100_000)
POLICIES = ("checksummed", "synced")


def use(store: Store) -> list[str]:
    """Everything that writes."""
    store.put(f"{SERVER}/apis?timeout=32s", ENTRY, "application/json")
    store.save(snapshot())
    store.flush()
    store.remember_unknown("x", NOW_S + 30)
    return store.troubles


def everything(root: Path) -> list[tuple[str, int, int]]:
    return [(str(path), path.lstat().st_mode, path.lstat().st_uid) for path in root.rglob("*")]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_full_disk_is_told_and_nothing_half_is_left(
    policy: str, make_store: MakeStore, mount_tmpfs: Callable[[str], Path]
) -> None:
    disk = mount_tmpfs("size=256k,mode=0755")
    (disk / "ballast").write_bytes(bytes(244 * 1024))
    store = make_store(policy=policy, where=disk)
    troubles = use(store)
    assert any("No space left on device" in clause for clause in troubles), troubles
    assert all(clause.startswith(str(disk)) for clause in troubles)
    assert store.snapshot() in (None, snapshot())
    (disk / "ballast").unlink()
    leftovers = [path for path in disk.rglob("*") if path.name.rpartition(".")[2].isdigit()]
    assert leftovers == []
    assert use(make_store(policy=policy, where=disk)) == []
    assert make_store(policy=policy, where=disk).snapshot() == snapshot()


@pytest.mark.parametrize("policy", POLICIES)
def test_a_disk_that_runs_out_of_inodes_is_told(
    policy: str, make_store: MakeStore, mount_tmpfs: Callable[[str], Path]
) -> None:
    disk = mount_tmpfs("size=4m,nr_inodes=9,mode=0755")
    store = make_store(policy=policy, where=disk)
    assert any("No space left on device" in clause for clause in use(store))
    found = store.snapshot()
    assert found is None or found.group_versions["v1"].state in {"ok", "failed"}


@pytest.mark.parametrize("policy", POLICIES)
def test_a_disk_that_is_mounted_read_only_is_told(
    policy: str, make_store: MakeStore, mount_tmpfs: Callable[[str], Path]
) -> None:
    disk = mount_tmpfs("ro,mode=0755")
    troubles = use(make_store(policy=policy, where=disk / "cache"))
    assert troubles
    assert all("Read-only file system" in clause for clause in troubles)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_user_who_may_not_write_hears_why(
    policy: str, tmp_path: Path, make_store: MakeStore, in_child: InChild
) -> None:
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    tmp_path.chmod(0o555)
    said = in_child(lambda: "; ".join(use(make_store(policy=policy))), NOBODY)
    assert f"{tmp_path}/cache: Permission denied" in said
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("policy", POLICIES)
def test_root_writes_nothing_into_another_users_cache(
    policy: str, make_store: MakeStore, root: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    root.mkdir(mode=0o750)
    os.chown(root, NOBODY, NOBODY)
    troubles = use(make_store(policy=policy))
    assert troubles
    assert all("belongs to user 65534, and this is user 0" in clause for clause in troubles)
    assert everything(root) == []


def test_root_makes_no_cache_in_another_users_home(make_store: MakeStore, root: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    root.mkdir()
    os.chown(root, NOBODY, NOBODY)
    troubles = use(make_store(where=root / ".kube" / "cache"))
    assert all(f"{root}: it belongs to user 65534" in clause for clause in troubles)
    assert everything(root) == []


@pytest.mark.parametrize("below", ["", "discovery", "http", "discovery/127.0.0.1_6443"])
def test_nothing_is_written_where_others_may_write(
    below: str, make_store: MakeStore, root: Path
) -> None:
    (root / below).mkdir(parents=True)
    (root / below).chmod(0o770)
    troubles = use(make_store())
    assert any("others may write to it (mode 0770)" in clause for clause in troubles)
    assert list((root / below).iterdir()) == []


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    "part", ["127.0.0.1_6443", "127.0.0.1_6443/v1", "127.0.0.1_6443/kubelag.lock"]
)
def test_a_link_below_the_discovery_directory_is_not_followed(
    part: str, policy: str, make_store: MakeStore, root: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = root / "discovery" / part
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere)
    troubles = use(make_store(policy=policy))
    assert list(elsewhere.iterdir()) == []
    if not part.endswith("lock"):  # which only one policy needs
        assert any("symbolic link" in clause for clause in troubles)


@pytest.mark.parametrize("name", ["kubelag.v1", "servergroups.json", "v1/serverresources.json"])
def test_a_file_that_is_a_link_is_replaced_and_its_target_left(
    name: str, make_store: MakeStore, host: Path, tmp_path: Path
) -> None:
    target = tmp_path / "precious"
    target.write_text("precious")
    (host / name).parent.mkdir(parents=True)
    (host / name).symlink_to(target)
    assert use(make_store()) == []
    assert target.read_text() == "precious"
    assert not (host / name).is_symlink()


@pytest.mark.parametrize("part", ["", "discovery", "http"])
def test_a_cache_that_a_remedy_linked_to_memory_is_written(
    part: str, make_store: MakeStore, root: Path, tmp_path: Path
) -> None:
    memory = tmp_path / "memory"
    memory.mkdir(mode=0o700)
    if part:
        root.mkdir(mode=0o750)
    (root / part if part else root).symlink_to(memory)
    assert use(make_store()) == []
    assert any(memory.iterdir())
    assert make_store().index() is not None


def test_a_link_to_a_place_that_others_may_write_is_refused(
    make_store: MakeStore, root: Path, tmp_path: Path
) -> None:
    memory = tmp_path / "memory"
    memory.mkdir()
    memory.chmod(0o1777)
    root.symlink_to(memory)
    assert all("others may write" in clause for clause in use(make_store()))
    assert list(memory.iterdir()) == []


def test_a_link_to_nowhere_is_told(make_store: MakeStore, root: Path, tmp_path: Path) -> None:
    root.symlink_to(tmp_path / "gone")
    troubles = use(make_store())
    assert troubles
    assert not (tmp_path / "gone").exists()


def test_one_directory_of_somebody_elses_does_not_spoil_the_rest(
    make_store: MakeStore, host: Path
) -> None:
    (host / "g1.example.com").mkdir(parents=True)
    (host / "g1.example.com").chmod(0o777)
    store = make_store()
    (trouble,) = use(store)
    assert "g1.example.com: others may write" in trouble
    assert "and 1 more of kubectl's files" in trouble
    assert make_store().index() is not None
    assert make_store().snapshot() == snapshot()


def test_a_file_in_the_place_of_a_directory_is_told(make_store: MakeStore, root: Path) -> None:
    root.mkdir(mode=0o750)
    (root / "discovery").write_text("")
    assert any("Not a directory" in clause for clause in use(make_store()))
