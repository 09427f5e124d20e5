"""The kubectl binaries of this machine: where they are, what they really are, how old."""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

VERSION_S = 10.0
"""`version --client` needs 50 ms; a wrapper that asks a server first, seconds. Arbitrary."""
WORKERS = 4
"""How many are asked at once. Arbitrary; each is one short process."""
ELF_MAGIC = b"\x7fELF"
VERSIONED_NAME = re.compile(r"kubectl[-_.]?v?\d+\.\d+(\.\d+)?")
"""kubectl.1.33, kubectl-1.33.1, kubectl1.33: how distributions name several side by side."""
VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabClient:
    """One kubectl."""

    path: Path
    version: str | None
    """For example `1.20.2`, as it says itself; None where it would not say."""
    source: str
    """Where it was found: `PATH`, `beside PATH`, `lab`, or `given`."""
    is_wrapper: bool = False
    """True for a script or a dispatcher, which starts another kubectl."""
    sha256: str | None = None
    """Of the binary; only for those that the lab keeps."""

    @property
    def order(self) -> tuple[int, int, int]:
        """The version as numbers; the lowest of all where it is unknown."""
        found = VERSION.match(self.version or "")
        return (int(found[1]), int(found[2]), int(found[3])) if found else (0, 0, 0)


def find_kubectls(environment: Mapping[str, str]) -> tuple[LabClient, ...]:
    """Every kubectl at hand, each real file once, oldest version first.

    Looks at PATH, beside each kubectl on PATH and beside what it links to, and at those that the
    lab keeps. Runs each with `version --client`, with no kubeconfig and an empty home.
    """
    found: dict[Path, tuple[Path, str]] = {}
    for path, source in _candidates(environment):
        # Run by the name that was found: a snap or k3s goes by the name it was called with.
        found.setdefault(path.resolve(), (path, source))
    with ThreadPoolExecutor(WORKERS) as workers:
        clients = list(workers.map(lambda item: identify(*item), found.values()))
    return tuple(sorted(clients, key=lambda client: (client.order, str(client.path))))


def identify(path: Path, source: str = "given") -> LabClient:
    """What a kubectl says of itself; one that does not answer has no version."""
    said = _git_version(path)
    version = VERSION.match(said or "")
    return LabClient(
        path=path,
        version=".".join(version.groups()) if version else None,
        source=source,
        is_wrapper="-dispatcher" in (said or "") or is_other_program(path),
    )


def newest(clients: Iterable[LabClient]) -> LabClient | None:
    """The newest one that is no wrapper and says its version."""
    real = [client for client in clients if client.version and not client.is_wrapper]
    return max(real, key=lambda client: client.order, default=None)


def is_other_program(path: Path) -> bool:
    """Whether the name stands for a script, or links to a program called otherwise (snap, k3s)."""
    real = path.resolve()
    try:
        with real.open("rb") as stream:
            is_binary = stream.read(len(ELF_MAGIC)) == ELF_MAGIC
    except OSError:
        return True
    return not is_binary or not real.name.startswith("kubectl")


def clients_directory(environment: Mapping[str, str]) -> Path | None:
    """Where the lab keeps clients; None where there is neither a cache nor a home directory."""
    cache = environment.get("XDG_CACHE_HOME")
    if cache and Path(cache).is_absolute():  # the XDG base directory rules ignore relative ones
        return Path(cache) / "kubelag" / "clients"
    home = environment.get("HOME")
    return Path(home) / ".cache" / "kubelag" / "clients" if home else None


def _candidates(environment: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    for directory in _path_directories(environment):
        named = directory / "kubectl"
        if _is_program(named):
            yield named, "PATH"
            yield from _versioned(directory, "beside PATH")
            yield from _versioned(named.resolve().parent, "beside PATH")
        else:
            yield from _versioned(directory, "PATH")
    kept = clients_directory(environment)
    if kept and kept.is_dir():
        yield from ((path, "lab") for path in sorted(kept.glob("*/kubectl")) if _is_program(path))


def _versioned(directory: Path, source: str) -> Iterator[tuple[Path, str]]:
    try:
        names = sorted(path for path in directory.glob("kubectl*") if path.is_file())
    except OSError:
        return
    for path in names:
        if VERSIONED_NAME.fullmatch(path.name) and _is_program(path):
            yield path, source


def _path_directories(environment: Mapping[str, str]) -> Iterator[Path]:
    for word in environment.get("PATH", os.defpath).split(os.pathsep):
        if word.startswith("/"):  # "." and "" depend on where we stand
            yield Path(word)


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _git_version(path: Path) -> str | None:
    with tempfile.TemporaryDirectory(prefix="kubelag-home-") as home:
        environment = {"HOME": home, "KUBECONFIG": os.devnull, "PATH": os.defpath}
        try:
            done = subprocess.run(
                (os.fspath(path), "version", "--client", "-o", "json"),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=VERSION_S,
                check=False,
                env=environment,
            )
            return str(json.loads(done.stdout)["clientVersion"]["gitVersion"])
        except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
            return None
