"""Who gets the nodes: kubectls, kubelag, and Python packages where an interpreter has them."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kubelag.kube.versions import Version, parse_version
from measuring import Client, kubelag, tell

PYTHON_VARIABLE = "KUBELAG_BENCH_PYTHON"
AGGREGATES_SINCE = Version(1, 26)
"""From this version on kubectl asks for all of discovery in two answers (KEP-3352)."""
OFFICIAL = """\
import kubernetes
from kubernetes.dynamic import DynamicClient

client = DynamicClient(kubernetes.config.new_client_from_config())
nodes = client.resources.get(api_version="v1", kind="Node").get()
print(*(node.metadata.name for node in nodes.items), sep="\\n")
"""
KR8S = """\
import asyncio
import kr8s.asyncio

async def main():
    async for node in kr8s.asyncio.get("nodes"):
        print(node.name)

asyncio.run(main())
"""
PACKAGES = {"kubernetes": OFFICIAL, "kr8s": KR8S}
VERSION_OF = "import {0}; from importlib.metadata import version; print(version('{0}'))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One client, run as a whole process."""

    name: str
    argv: tuple[str, ...]
    takes_cache_dir: bool = True
    """Whether it is told where its cache is; others find it by HOME and TMPDIR."""
    asks_each: bool = False
    """Whether every group-version is a request of its own, which old kubectls hold back."""

    def command(self, cache: Path) -> tuple[str, ...]:
        """What is executed."""
        return (*self.argv, f"--cache-dir={cache}") if self.takes_cache_dir else self.argv


@dataclass(frozen=True, slots=True, kw_only=True)
class Arms:
    """Everybody who takes part."""

    older: tuple[Arm, ...]
    """Other kubectls, the oldest first."""
    newest: Arm
    """The newest kubectl, which the goals compare with."""
    kubelag: Arm
    packages: tuple[Arm, ...]

    @property
    def all(self) -> tuple[Arm, ...]:
        """In the order of the tables."""
        return (*self.older, self.newest, self.kubelag, *self.packages)


def find_arms(clients: Sequence[Client], interpreters: Sequence[str]) -> Arms:
    """Everybody; says aloud who is left out."""
    *older, latest = [
        Arm(
            name=one.name,
            argv=(one.path, "get", "nodes"),
            asks_each=_version(one) < AGGREGATES_SINCE,
        )
        for one in sorted(clients, key=_version)
    ]
    return Arms(
        older=tuple(older),
        newest=latest,
        kubelag=Arm(name="kubelag", argv=(kubelag(), "get", "nodes")),
        packages=tuple(_packages(interpreters)),
    )


def synced(ours: Arm) -> Arm:
    """Kubelag that writes its cache as the kubectl of the incident."""
    return Arm(name="kubelag, synced", argv=(*ours.argv, "--cache-policy=synced"))


def environment(kubeconfig: Path, home: Path) -> dict[str, str]:
    """Where no client finds anything of ours or of an earlier run's."""
    place = os.fspath(home)
    unwanted = {"PYTHONDONTWRITEBYTECODE", "KUBECACHEDIR", "XDG_CACHE_HOME"}
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return {**kept, "KUBECONFIG": os.fspath(kubeconfig), "HOME": place, "TMPDIR": place}


def pythons(named: str | None, env: Mapping[str, str]) -> tuple[str, ...]:
    """Interpreters that may have the packages; this one first."""
    return tuple(one for one in (sys.executable, named or env.get(PYTHON_VARIABLE)) if one)


def _packages(interpreters: Sequence[str]) -> list[Arm]:
    found = []
    for package, script in PACKAGES.items():
        versions = {python: _package_version(python, package) for python in interpreters}
        python = next((one for one, version in versions.items() if version), None)
        if python is None:
            tell(f"{package} is left out: no Python has it (--python, {PYTHON_VARIABLE})")
            continue
        name = f"{package} {versions[python]} (Python)"
        argv = (python, "-W", "ignore", "-c", script)
        found.append(Arm(name=name, argv=argv, takes_cache_dir=False))
    return found


def _package_version(python: str, package: str) -> str:
    argv = [python, "-c", VERSION_OF.format(package)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _version(client: Client) -> Version:
    return parse_version(client.name) or Version(0, 0)
