"""The slow file system of a user who is not root."""

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest

import kubelag
from kubelag.lab.tools import has_tool

pytestmark = pytest.mark.real

USER = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
AS_USER = """
import json, os, sys
from pathlib import Path
from kubelag.lab.mounts import find_mount
from kubelag.lab.slow_directory import open_slow_directory
from kubelag.lab.state import Ledger

place = Path(sys.argv[1])
with Ledger.open(place / "state") as ledger:
    slow = open_slow_directory(place / "disk", fsync_ms=40, ledger=ledger)
    (slow.path / "file").write_text("text")
    seen = {"uid": os.getuid(), "kind": slow.kind, "fsync_ms": slow.fsync_ms,
            "text": (slow.path / "file").read_text(), "mode": oct(slow.path.stat().st_mode)}
    slow.close()
    print(json.dumps(seen | {"left": find_mount(slow.path) is not None}))
"""
# A mount namespace of its own, in which /dev/fuse is open to all, as distributions have it.
NAMESPACE = """
set -e
mknod "$1/fuse" c 10 229
chmod 666 "$1/fuse"
mount --bind "$1/fuse" /dev/fuse
shift
exec "$@"
"""


@pytest.fixture
def python() -> str:
    """A Python that a stranger may run; the one in a private home is not."""
    for candidate in (sys.executable, "/usr/bin/python3"):
        path = Path(candidate).resolve()
        is_open = all(part.stat().st_mode & 0o001 for part in (path, *path.parents))
        same = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
        if is_open and not subprocess.run((candidate, "-c", same), check=False).returncode:
            return candidate
    pytest.skip("no Python of this version that another user may run")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
@pytest.mark.skipif(not has_tool("fusermount3"), reason="fusermount3 is missing")
@pytest.mark.skipif(not Path("/dev/fuse").exists(), reason="this machine has no /dev/fuse")
def test_a_user_gets_a_slow_directory_by_fuse_and_nothing_is_left(python: str) -> None:
    # not in tmp_path, whose parents are closed to other users
    place = Path(tempfile.mkdtemp(prefix="kubelag-test-"))
    try:
        os.chown(place, 65534, -1)
        argv = ("unshare", "--mount", "--propagation", "private", "sh", "-c", NAMESPACE, "sh")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(place),
            "PYTHONPATH": f"{Path(kubelag.__file__).parents[1]}:{sysconfig.get_path('purelib')}",
        }
        done = subprocess.run(
            (*argv, str(place), *USER, python, "-c", AS_USER, str(place)),
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        seen = json.loads(done.stdout)
        assert seen["uid"] == 65534
        assert seen["kind"] == "fuse"
        assert seen["fsync_ms"] > 35
        assert seen["text"] == "text"
        assert not seen["left"]
        assert sorted(path.name for path in place.iterdir()) == ["fuse"]
    finally:
        subprocess.run(("rm", "-rf", "--one-file-system", str(place)), check=True)
