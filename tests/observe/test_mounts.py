"""From a path to its file system and block device."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.observe.mounts import (
    block_device,
    file_system_of,
    is_in_memory,
    mount_of,
    parse_mountinfo,
    read_mounts,
)

MOUNTINFO = r"""
27 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,discard
30 25 0:27 / /memory rw,relatime - tmpfs tmpfs rw,size=24684092k
31 27 0:40 / /home rw,relatime - overlay overlay rw,lowerdir=/l,upperdir=/data/upper,workdir=/w
32 27 253:0 / /data rw - xfs /dev/mapper/vg-data rw
33 27 7:0 / /mnt/slow\040disk rw - ext4 /dev/loop0 rw
34 27 0:50 / /net ro - nfs4 server:/export rw,addr=10.0.0.1
35 27 0:51 /sub /btr rw - btrfs /dev/nonexistent rw
36 30 0:52 / /memory rw - tmpfs again rw
broken line
"""
MOUNTS = parse_mountinfo(MOUNTINFO)


@pytest.fixture
def sys(tmp_path: Path) -> Path:
    """A sysfs with one partitioned disk, one mapped device and one loop device."""
    blocks = tmp_path / "dev/block"
    blocks.mkdir(parents=True)
    for number, place in {
        "254:1": "devices/vda/vda1",
        "253:0": "devices/dm-0",
        "7:0": "devices/loop0",
    }.items():
        (tmp_path / place).mkdir(parents=True)
        (blocks / number).symlink_to(tmp_path / place)
    (tmp_path / "devices/vda/vda1/partition").write_text("1")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "mount_point", "file_system", "device"),
    [
        ("/root/.kube/cache", "/", "ext4", "vda"),
        ("/rootless", "/", "ext4", "vda"),
        ("/data", "/data", "xfs", "dm-0"),
        ("/mnt/slow disk/cache", "/mnt/slow disk", "ext4", "loop0"),
        ("/memory/cache", "/memory", "tmpfs", None),
        ("/home/user", "/home", "overlay", "dm-0"),
        ("/net/home", "/net", "nfs4", None),
        ("/btr/x", "/btr", "btrfs", None),
    ],
)
def test_a_path_is_found_on_its_mount(
    sys: Path, path: str, mount_point: str, file_system: str, device: str | None
) -> None:
    mount = mount_of(path, MOUNTS)
    assert mount is not None
    assert (mount.mount_point, mount.file_system) == (mount_point, file_system)
    assert block_device(mount, MOUNTS, sys) == device


def test_of_two_mounts_on_one_place_the_later_counts() -> None:
    mount = mount_of("/memory", MOUNTS)
    assert mount is not None
    assert mount.source == "again"


def test_a_mount_point_with_blanks_is_read_as_it_is() -> None:
    line = r"36 35 98:0 /m /mnt/a\040b\134c rw,noatime master:1 - fuse.ssh\043x /dev/a\040b rw"
    (mount,) = parse_mountinfo(line)
    assert mount.mount_point == "/mnt/a b\\c"
    assert (mount.file_system, mount.source) == ("fuse.ssh\\043x", "/dev/a b")
    assert (mount.device_number, mount.root) == ("98:0", "/m")


def test_only_a_line_feed_ends_a_line() -> None:
    (mount,) = parse_mountinfo("36 35 98:0 / /mnt/a\u2028b rw - ext4 /dev/a rw\n")
    assert mount.mount_point == "/mnt/a\u2028b"


def test_shared_memory_is_in_memory_and_a_made_up_path_is_where_its_parents_are() -> None:
    if not Path("/dev/shm").is_mount():
        pytest.skip("there is no /dev/shm here")
    assert file_system_of("/dev/shm/no/such/file") == "tmpfs"
    assert is_in_memory(Path("/dev/shm"))
    assert not is_in_memory("/proc")


@given(st.text(max_size=120))
def test_no_text_crashes_the_parser(text: str) -> None:
    for mount in parse_mountinfo(text):
        assert mount_of(mount.mount_point, (mount,)) in {mount, None}


def test_this_machines_own_root_is_found() -> None:
    mounts = read_mounts()
    assert mount_of("/", mounts) is not None
