"""A look-up in the cache loads nothing that it does not need."""

import subprocess
import sys
from pathlib import Path

from cache_snapshots import SERVER, snapshot
from kubelag.kube.cache.store import Store

SLOW = {
    "typing",
    "dataclasses",
    "enum",
    "inspect",
    "pathlib",
    "subprocess",
    "threading",
    "logging",
    "hashlib",
    "_hashlib",
    "ssl",
    "tempfile",
    "fcntl",
    "contextlib",
    "urllib",
    "kubelag.kube.versions",
    "kubelag.kube.cache.directory",
    "kubelag.kube.cache.tree",
    "kubelag.kube.cache.checksummed",
    "kubelag.kube.cache.synced",
}
NEEDED_BY_JSON = {"enum"}
CODE = """
import json, sys
before = set(sys.modules)
from kubelag.kube.cache.layout import cache_root
from kubelag.kube.cache.store import Store
root = cache_root(sys.argv[1], {}, None, "/").path
assert Store(root, sys.argv[2]).index() is not None
print(*(set(sys.modules) - before))
"""


def test_a_look_up_loads_a_handful_of_modules(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "cache"), SERVER)
    store.save(snapshot(fetched_s=1.0))
    store.flush()
    argv = [sys.executable, "-I", "-c", CODE, str(tmp_path / "cache"), SERVER]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & SLOW
    assert {name.partition(".")[0] for name in loaded} <= {"kubelag", "_sha2", "_sha256"}
