"""The commands that faults of the HA lab have explained on the client's node."""

import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from kubelag.lab.control_plane.kubeconfigs import User
from kubelag.lab.debian_client import unpack_kubectl
from kubelag.lab.faults.contract import Scene
from kubelag.lab.ha.lab import HaLab
from kubelag.observe.other_clients import find_kubectls, newest

OLD_VERSION = "1.20.2"
"""The client of the founding incident."""
TURNER = "kubelag.lab.ha.turning"
"""For scenes with one connection: it makes the balancer begin with a certain API server."""
MANY_CONNECTIONS = {"DISABLE_HTTP2": "1"}
"""A cold run then opens one connection for each parallel request: each meets another backend."""


def explain_words(scene: Scene, *options: str) -> tuple[str, ...]:
    """What follows the name of our own program to have a scene explained on the client's node."""
    cold = ("--cold",) if scene.cold else ()
    return ("explain", *cold, *scene.explain_options, *options, "--", *scene.command)


@functools.cache
def new_kubectl() -> Path:
    """The newest kubectl of this machine; where it has none, the old one is fetched.

    Raises:
        LabError: There is none, and none can be fetched.
    """
    found = newest(find_kubectls(os.environ))
    return Path(found.path) if found else old_kubectl()


@functools.cache
def old_kubectl() -> Path:
    """The kubectl 1.20.2, whose cache syncs every write; fetched once.

    Raises:
        LabError: It is not here and cannot be fetched.
    """
    return unpack_kubectl(OLD_VERSION, os.environ).path


def get_nodes(  # noqa: PLR0913 - each one is a way in which a scene differs
    ha: HaLab,
    *,
    describe: str,
    cold: bool = True,
    user: User = "certificate",
    environment: Mapping[str, str] | None = None,
    kubectl: Path | None = None,
    arguments: Sequence[str] = ("get", "nodes"),
) -> Scene:
    """`kubectl get nodes` on the client's node, or the like.

    Args:
        ha: The lab.
        describe: One sentence: what was made slow, and by how much.
        cold: Whether with a fresh cache beside the default one.
        user: Whose kubeconfig.
        environment: Variables besides the usual ones, or instead of them.
        kubectl: Which; the newest by default.
        arguments: What it is asked.
    """
    return Scene(
        command=(os.fspath(kubectl or new_kubectl()), *arguments),
        environment={**ha.environment(user), **(environment or {})},
        cold=cold,
        describe=describe,
    )
