"""Which kubectl binaries this machine has: where they are, what they really are, how old."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kubelag.errors import KubelagError
from kubelag.kube.versions import Version, parse_version
from kubelag.observe.client import ask_version, is_script

# kubectl.1.33, kubectl-1.33.1, kubectl1.33: how distributions name several side by side. Nothing
# else that begins like this is ever run: it may be a plugin, and act on it.
_VERSIONED = re.compile(r"kubectl[-_.]?v?\d+\.\d+(\.\d+)?", re.ASCII)
# Asking a version is one short start of a client; five seconds are for a slow disk.
_TIMEOUT_S = 5.0
# How many are asked at once. Arbitrary; each is one short process.
_WORKERS = 4
_NO_VERSION = Version(0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherClient:
    """A kubectl that this machine has."""

    path: str
    version: str | None
    """For example `1.33.4`; None where it would not say."""
    is_wrapper: bool
    """A script, a dispatcher, or a link to a program called otherwise (snap, k3s): what it would
    run is not known beforehand."""


def find_kubectls(env: Mapping[str, str]) -> tuple[OtherClient, ...]:
    """Every kubectl on PATH, beside it, beside what its links lead to, and kept by the lab.

    Each real file once, by the first name found; oldest version first, then in the order of PATH.
    """
    names: dict[str, str] = {}
    for path in _candidates(env):
        # Run by the name that was found: programs of many faces (k3s) look at it.
        names.setdefault(os.path.realpath(path), path)
    with ThreadPoolExecutor(_WORKERS) as workers:
        asked = workers.map(lambda path: _known(path, env), names.values())
        known = [client for client in asked if client is not None]
    return tuple(sorted(known, key=_order))


def newest(clients: Iterable[OtherClient]) -> OtherClient | None:
    """The newest one that is no wrapper and says its version."""
    real = [client for client in clients if client.version and not client.is_wrapper]
    return max(real, key=_order, default=None)


def clients_directory(env: Mapping[str, str]) -> Path | None:
    """Where the lab keeps clients; None where there is neither a cache nor a home directory."""
    cache = env.get("XDG_CACHE_HOME")
    if cache and Path(cache).is_absolute():  # the XDG base directory rules ignore relative ones
        return Path(cache) / "kubelag" / "clients"
    home = env.get("HOME")
    return Path(home) / ".cache" / "kubelag" / "clients" if home else None


def _candidates(env: Mapping[str, str]) -> Iterator[str]:
    for word in env.get("PATH", os.defpath).split(":"):
        if not word.startswith("/"):  # "." and "" depend on where we stand
            continue
        yield from _executables(Path(word))
        with suppress(OSError):  # no link, or a directory that is closed to us
            target = os.readlink(Path(word, "kubectl"))  # noqa: PTH115 - text
            yield from _executables(Path(os.path.realpath(Path(word, target))).parent)
    kept = clients_directory(env)
    for directory in sorted(kept.glob("*")) if kept else ():
        yield from _executables(directory)


def _executables(directory: Path) -> Iterator[str]:
    with suppress(OSError):
        for name in sorted(os.listdir(directory)):  # noqa: PTH208 - names are all we need
            path = directory / name
            known = name == "kubectl" or _VERSIONED.fullmatch(name)
            if known and path.is_file() and os.access(path, os.X_OK):
                yield str(path)


def _known(path: str, env: Mapping[str, str]) -> OtherClient | None:
    """What it says of itself; None where the system cannot execute it at all."""
    try:
        answer = ask_version(path, env, _TIMEOUT_S)
    except KubelagError:
        return None
    real = os.path.realpath(path)
    is_other_program = not os.path.basename(real).startswith("kubectl")  # noqa: PTH119 - text
    return OtherClient(
        path=path,
        version=answer.version,
        is_wrapper=answer.is_dispatcher or is_other_program or is_script(real),
    )


def _order(client: OtherClient) -> Version:
    return parse_version(client.version or "") or _NO_VERSION
