"""Cache files of other programs, written from kubectl's discovery cache.

>>> from kubelag.kube import Client                                       # doctest: +SKIP
>>> from kubelag.kube.adapters.seeds import seed_ansible, seed_official   # doctest: +SKIP
>>> with Client() as client:                                              # doctest: +SKIP
...     print(seed_official(client), seed_ansible(client))

For programs whose code is not to be touched: they find a warm cache under the name that they look
for. It serves the official client's dynamic client and Ansible's kubernetes.core; both take it
until something is not found in it, and then write it anew from their own discovery. It never
expires, so it is to be written again when what the server offers changes.

Sources: kubernetes 37.0 `dynamic/discovery.py` (Discoverer); kubernetes.core
`plugins/module_utils/client/discovery.py` (`__get_default_cache_id`, `__get_user`).
"""

import errno
import hashlib
import importlib
import json
import os
import stat
import tempfile

from kubelag.errors import RefusedError
from kubelag.kube.adapters import official_shape
from kubelag.kube.adapters.keeping import known
from kubelag.kube.adapters.packages import MissingPackageError
from kubelag.kube.cache.directory import OWN_FILE_MODE, Directory
from kubelag.kube.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from kubelag.kube.client import Client
    from kubelag.kube.discovery.snapshot import Snapshot

    JsonObject = dict[str, Any]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Seed(Record):
    """A cache file that was written."""

    path: str
    resources: int
    """How many it holds, each version counted."""


def seed_official(
    client: "Client", path: str | None = None, *, library_version: str | None = None
) -> Seed:
    """Write the cache file of the official client's `DynamicClient`.

    Args:
        client: Knows what the server offers; its server is spelled as in the kubeconfig that the
            program reads.
        path: As `DynamicClient(cache_file=…)` names it; None for that client's default, which is
            in the temporary directory.
        library_version: Of the package `kubernetes` that will read it, which takes no other's
            file; None for the one that is installed here.

    Raises:
        RefusedError: If somebody else could have put, or could replace, what is there.
        OSError: If it cannot be written; what was there is still there.
        TransportError: If the server had to be asked and could not be.
        ApiError: If it refused to tell.
        MissingPackageError: If no version is given and the package is not installed here.
    """
    digest = hashlib.md5(_host(client).encode(), usedforsecurity=False).hexdigest()
    return _seed(client, path or _in_temporary(f"osrcp-{digest}.json"), library_version)


def seed_ansible(
    client: "Client",
    path: str | None = None,
    *,
    library_version: str | None = None,
    user: str | None = None,
) -> Seed:
    """Write the cache file of Ansible's kubernetes.core, on the host where its modules run.

    Args:
        client: As for `seed_official`.
        path: None for the name that it looks for, in the temporary directory.
        library_version: As for `seed_official`.
        user: Part of that name; None for what it finds out here for this process.

    Raises:
        As `seed_official`.
    """
    user = _ansible_user(os.environ) if user is None else user
    identity = f"{_host(client)}-{user}" if user else _host(client)
    digest = hashlib.sha256(identity.encode()).hexdigest()
    return _seed(client, path or _in_temporary(f"k8srcp-{digest}.json"), library_version)


def _seed(client: "Client", path: str, library_version: str | None) -> Seed:
    resources, count = _resources(known(client.discovery))
    content = {
        "library_version": library_version or _installed_version(),
        "version": {"kubernetes": client.document("/version")},
        "resources": resources,
    }
    _write(os.path.abspath(path), json.dumps(content).encode("ascii"))  # noqa: PTH100 -- text
    return Seed(path=path, resources=count)


def _resources(snapshot: "Snapshot") -> "tuple[JsonObject, int]":
    """By prefix, group and version, and how many there are.

    Empty group-versions are left out: in their place those clients ask the server at each search.
    """
    found: JsonObject = {"api": {}, "apis": {}}
    count = 0
    for part in official_shape.parts(snapshot):
        if part.known is not None and part.known.state == "empty":
            continue
        kinds = official_shape.kinds(part)
        count += sum(one["_type"] == "Resource" for each in kinds.values() for one in each)
        found[part.prefix].setdefault(part.group, {})[part.version] = {
            "_type": "ResourceGroup",
            "preferred": part.is_preferred,
            "resources": kinds,
        }
    return found, count


def _host(client: "Client") -> str:
    """The server as those clients' configuration has it (`kube_config.py`: no slash at its end)."""
    return client.server.rstrip("/")


def _in_temporary(name: str) -> str:
    return f"{tempfile.gettempdir()}/{name}"


def _installed_version() -> str:
    try:
        return str(importlib.import_module("kubernetes").__version__)
    except ImportError as error:
        raise MissingPackageError("kubernetes", error) from error


def _ansible_user(env: "Mapping[str, str]") -> str:
    """Who kubernetes.core thinks it is: login name, else user number but 0, else USERNAME."""
    try:
        name = os.getlogin()
    except OSError:  # no terminal: a service, a container
        name = ""
    return name or str(os.getuid() or "") or env.get("USERNAME", "")


def _write(path: str, content: bytes) -> None:
    """Put the whole file in the place of what was there, readable by its owner alone."""
    place, name = os.path.split(path)
    try:
        descriptor = os.open(place, _DIRECTORY)
    except OSError as error:
        raise OSError(error.errno, error.strerror, place) from error
    with Directory(descriptor, place, os.geteuid()) as directory:
        if why := _why_refused(directory, name):
            raise RefusedError(
                f"{path} is not written: {why}", "name a file in a directory of yours"
            )
        directory.write(name, content, OWN_FILE_MODE)


def _why_refused(directory: Directory, name: str) -> str:
    """Why nothing is written there, a clause; empty if it may be."""
    if not name:
        raise IsADirectoryError(errno.EISDIR, "it is a directory", directory.path)
    itself, uid = directory.itself(), directory.uid
    if itself.st_uid not in {0, uid}:
        return f"the directory belongs to user {itself.st_uid}, who could replace it"
    if not itself.st_mode & _OTHERS_WRITE:
        return ""
    if not itself.st_mode & stat.S_ISVTX:
        return "others may write to the directory, and could replace it"
    found = directory.stat(name)
    if found is not None and (found.st_uid != uid or not stat.S_ISREG(found.st_mode)):
        return f"what is there is no file of user {uid}, in a directory that others may write to"
    return ""
