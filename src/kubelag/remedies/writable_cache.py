"""Says how to get a cache directory that can be written; whose it is, the user has to say."""

import os
import shlex

from kubelag.kube.versions import READS_KUBECACHEDIR, parse_version
from kubelag.model.evidence import Evidence
from kubelag.observe.mounts import mount_of, read_mounts
from kubelag.observe.writable import why_not_writable
from kubelag.remedies.by_hand import ByHand, Instructions
from kubelag.remedies.cache_target import describe, find_target, nearest_existing
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
    target = find_target(context)
    if target.is_dangling:
        return Instructions(
            commands=("kubelag fix apply repair-cache-link",),
            detail=f"{target.root} is {describe(target.root)}",
        )
    existing = os.path.realpath(nearest_existing(target.root))
    problem = why_not_writable(str(target.root), existing, mount_of(existing, read_mounts()))
    if problem is None:
        detail = f"{target.root} is {describe(target.root)} and can be written"
        return Instructions(commands=(), is_done=True, detail=detail)
    return Instructions(commands=_commands(str(target.root), None), detail=problem)


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
