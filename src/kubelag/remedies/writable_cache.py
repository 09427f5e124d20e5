"""Says how to get a cache directory that can be written again; whose it is is for the user to say."""

import os
import shlex

from kubelag.kube.versions import READS_KUBECACHEDIR, parse_version
from kubelag.model.evidence import Evidence
from kubelag.remedies.by_hand import ByHand, Instructions
from kubelag.remedies.cache_target import describe, find_target
from kubelag.remedies.contract import Context


def remedy() -> ByHand:
    """The remedy."""
    return ByHand(
        id="writable-cache",
        summary="give the client a cache directory that it can write",
        causes=("cache_unwritable",),
        instruct=_instruct,
        recommend=_recommend,
        why_not="changing owners needs your decision (and often root)",
    )


def _instruct(context: Context) -> Instructions:
    root = find_target(context).root
    if os.access(root if root.exists() else root.parent, os.W_OK | os.X_OK):
        return Instructions(
            commands=(), is_done=True, detail=f"{root} is {describe(root)} and can be written"
        )
    if root.is_symlink() and not root.exists():
        commands: tuple[str, ...] = ("kubelag fix apply repair-cache-link",)
    else:
        commands = _commands(str(root), None)
    return Instructions(commands=commands, detail=f"{root} is {describe(root)}, not writable")


def _recommend(evidence: Evidence) -> tuple[str, ...]:
    cache = evidence.cache
    if cache is None:
        return ("kubelag fix plan writable-cache",)
    if cache.state == "dangling_link":
        return ("kubelag fix apply repair-cache-link",)
    return _commands(cache.root, evidence.client.version)


def _commands(root: str, version: str | None) -> tuple[str, ...]:
    """Take the directory over, or use another one."""
    owner = '"$(id -u):$(id -g)"'
    known = parse_version(version or "")
    take_over = f"sudo chown -R {owner} {shlex.quote(root)}"
    if known is not None and known < READS_KUBECACHEDIR:
        return (take_over,)
    elsewhere = 'export KUBECACHEDIR="$HOME/.cache/kubectl"'
    return (take_over, f"{elsewhere}  # instead, for kubectl 1.25 and newer")
