"""Says which client has the fix, and how this machine would get it.

kubectl 1.25.0 is the first that does not sync its cache (kubernetes/kubernetes#110851); the fix was
not back-ported to 1.24. Debian 12 packages 1.20.2 to this day, so its own package manager does not
help there.
"""

import shutil
import subprocess
from collections.abc import Mapping
from typing import NamedTuple

from kubelag.errors import KubelagError
from kubelag.kube.versions import FIXED_FSYNC, has_fsync_fix, parse_version
from kubelag.model.evidence import Client, Evidence
from kubelag.observe.client import identify
from kubelag.remedies.by_hand import ByHand, Instructions
from kubelag.remedies.contract import Context

_SKEW = "kubectl is supported within one minor version of the server; `kubectl version` shows both"
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
# Package managers answer from local files; arbitrary.
_TIMEOUT_S = 30
_UPSTREAM = "https://kubernetes.io/docs/tasks/tools/install-kubectl-linux/"


class Package(NamedTuple):
    """The Debian package that owns a program."""

    name: str
    candidate: str
    """The version that apt would install now; empty where there is none."""


def remedy() -> ByHand:
    """The remedy."""
    return ByHand(
        id="upgrade-client",
        summary=f"use a kubectl from {FIXED_FSYNC} on, which does not sync its cache",
        causes=("discovery_cache_fsync",),
        instruct=_instruct,
        recommend=_recommend,
        why_not="kubelag does not change installed programs",
    )


def _instruct(context: Context) -> Instructions:
    try:
        client = identify("kubectl", context.env)
    except KubelagError as error:
        return Instructions(commands=download_commands(), detail=error.message, notes=(_SKEW,))
    if has_fsync_fix(client.version):
        detail = f"{client.real_path} is {client.version}, which has the fix"
        return Instructions(commands=(), is_done=True, detail=detail)
    version = client.version or "of unknown version"
    package = owning_package(client.real_path, context.env)
    return Instructions(
        commands=upgrade_commands(client.real_path, package),
        notes=(*_about(package), _SKEW),
        detail=f"{client.real_path} is {version}; the fix came with {FIXED_FSYNC}",
    )


def _recommend(evidence: Evidence) -> tuple[str, ...]:
    return _known_source(evidence.client) or ("kubelag fix plan upgrade-client",)


def _known_source(client: Client) -> tuple[str, ...]:
    """What the path alone tells; a package's owner is for `plan` to ask."""
    found = _by_path(client.real_path)
    return found if found is not None else ()


def upgrade_commands(path: str, package: Package | None) -> tuple[str, ...]:
    """The commands that bring the fix to the program at this path."""
    # Google's packages carry the version of its tools; what is in them has been newer for years.
    is_googles = "/google-cloud-sdk/" in path
    if package and (is_googles or _has_fix(package.candidate)):
        return (f"sudo apt-get install --only-upgrade {package.name}",)
    return _by_path(path) or download_commands()


def _by_path(path: str) -> tuple[str, ...] | None:
    """The commands of the tool that keeps programs at such a path."""
    marks: Mapping[str, tuple[str, ...]] = {
        "/snap/": ("sudo snap refresh kubectl --channel=latest/stable",),
        "/.asdf/": ("asdf install kubectl latest", "asdf set --home kubectl latest"),
        "/mise/": ("mise use --global kubectl@latest",),
        "/google-cloud-sdk/": ("gcloud components update kubectl",),
        "/linuxbrew/": ("brew upgrade kubernetes-cli",),
    }
    return next((commands for mark, commands in marks.items() if mark in path), None)


def download_commands(machine: str | None = None) -> tuple[str, ...]:
    """Upstream's own binary, checked against its published sum."""
    import platform  # noqa: PLC0415 -- needed here only

    kind = _MACHINES.get(machine or platform.machine(), "amd64")
    url = f"https://dl.k8s.io/release/$V/bin/linux/{kind}/kubectl"
    return (
        'V="$(curl -fsSL https://dl.k8s.io/release/stable.txt)"',
        f'curl -fsSL -o kubectl "{url}"',
        f'echo "$(curl -fsSL "{url}.sha256")  kubectl" | sha256sum --check',
        "sudo install -m 0755 kubectl /usr/local/bin/kubectl",
    )


def _about(package: Package | None) -> tuple[str, ...]:
    if package is None or _has_fix(package.candidate):
        return ()
    version = parse_version(package.candidate)
    offer = f"apt offers {package.name} {version}" if version else f"apt offers no {package.name}"
    return (f"{offer}, without the fix; upstream's ways to install are at {_UPSTREAM}",)


def _has_fix(candidate: str) -> bool:
    """Whether a package version is that of a kubectl with the fix."""
    bare = candidate.rpartition(":")[2]
    version = parse_version(bare)
    return version is not None and version.major == FIXED_FSYNC.major and version >= FIXED_FSYNC


def owning_package(path: str, env: Mapping[str, str]) -> Package | None:
    """The Debian package that installed a program, None where none did or this is not Debian."""
    found = _output(["dpkg-query", "--search", path], env)
    name = found.partition(":")[0].strip()
    if not name or "," in name:
        return None
    policy = _output(["apt-cache", "policy", name], env)
    lines = (line.strip() for line in policy.splitlines())
    offered = next((line for line in lines if line.startswith("Candidate:")), "")
    candidate = offered.removeprefix("Candidate:").strip()
    return Package(name=name, candidate="" if candidate == "(none)" else candidate)


def _output(argv: list[str], env: Mapping[str, str]) -> str:
    if shutil.which(argv[0], path=env.get("PATH")) is None:
        return ""
    try:
        done = subprocess.run(
            argv,
            env={**env, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
