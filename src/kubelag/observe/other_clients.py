"""Which other kubectl binaries this machine has: on PATH, and versioned ones beside those."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kubelag.errors import KubelagError
from kubelag.observe.client import ask_version, is_script

_VERSIONED = re.compile(r"kubectl[.-]?v?\d+(\.\d+)*")
# Asking a version is one short start of a client; five seconds are for a slow disk.
_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherClient:
    """A kubectl that this machine has."""

    path: str
    version: str | None
    """For example `1.33.4`; None where it would not say."""
    is_wrapper: bool
    """A script or a dispatcher: what it would run is not known beforehand."""


def find_kubectls(env: Mapping[str, str]) -> tuple[OtherClient, ...]:
    """Every kubectl on PATH, beside it, and beside what its links and wrappers lead to.

    Each real file once, in the order of PATH.
    """
    found: dict[str, OtherClient] = {}
    for path in _candidates(env):
        real = os.path.realpath(path)
        if real not in found:
            with suppress(KubelagError):
                found[real] = _known(path, env)
    return tuple(found.values())


def _candidates(env: Mapping[str, str]) -> Iterator[str]:
    for directory in env.get("PATH", os.defpath).split(":"):
        plain = Path(directory or ".", "kubectl")
        yield from _executables(plain.parent)
        if plain.exists() and os.access(plain, os.X_OK):
            yield from _executables(plain.resolve().parent)
            yield from _packaged(env)


def _packaged(env: Mapping[str, str]) -> Iterator[str]:
    """Google's dispatcher is often installed apart from the versions that it chooses among."""
    for place in ("/usr/lib/google-cloud-sdk/bin", "/opt/google-cloud-sdk/bin"):
        yield from _executables(Path(place))
    if home := env.get("HOME"):
        yield from _executables(Path(home, "google-cloud-sdk/bin"))


def _executables(directory: Path) -> Iterator[str]:
    with suppress(OSError):
        for name in sorted(os.listdir(directory)):  # noqa: PTH208 - names are all we need
            path = directory / name
            known = name == "kubectl" or _VERSIONED.fullmatch(name)
            if known and path.is_file() and os.access(path, os.X_OK):
                yield str(path)


def _known(path: str, env: Mapping[str, str]) -> OtherClient:
    answer = ask_version(path, env, _TIMEOUT_S)
    return OtherClient(
        path=path, version=answer.version, is_wrapper=answer.is_dispatcher or is_script(path)
    )
