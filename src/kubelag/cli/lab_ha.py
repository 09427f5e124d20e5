"""`kubelag lab fault`, `kubelag lab exec`, and what `lab status` says of the HA lab."""

import os
import shlex
import sys
from collections.abc import Sequence
from typing import NoReturn

from kubelag.errors import LabError, UsageError
from kubelag.lab.faults.contract import Scene
from kubelag.lab.faults.registry import find_ha_fault
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.scenes import explain_words
from kubelag.lab.ha.switches import switch_off, switch_on
from kubelag.lab.session import find_ha, hold_ha


def switch(name: str, wanted: str) -> int:
    """Put a fault in, and see it act; or take it out. Off is no error where it is off already."""
    fault = find_ha_fault(name)
    with hold_ha(os.environ) as ha:
        if wanted == "off":
            was_on = switch_off(ha, fault)
            print(f"{fault.id} is off." if was_on else f"{fault.id} was off already.")
            return 0
        seen = switch_on(ha, fault)
        scene = fault.scene(ha)
    print(f"{fault.id} is on: {seen}")
    print(f"See it:      {fault.how_to_see}")
    print(f"Explain it:  {_explaining(ha, scene)}")
    print(f"End it:      kubelag lab fault {fault.id} off")
    return 0


def execute(node: str, argv: Sequence[str]) -> NoReturn:
    """Become a command on a node; the exit code is the command's own."""
    if not argv:
        raise UsageError("exec needs a command", "try: kubelag lab exec -- kubectl get nodes")
    ha = _standing()
    words = ha.argv(argv, ha.plan.host(node))
    environment = dict(ha.environment())
    environment["PATH"] = f"{environment.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    sys.stdout.flush()
    try:
        os.execvpe(words[0], words, environment)  # noqa: S606 - words of ours, no shell wanted
    except OSError as error:
        raise LabError(f"{words[0]} cannot be started: {error.strerror}", "install it") from error


def print_status() -> None:
    """The hosts, who has the shared address, and which fault is on."""
    ha = _standing()
    owner = ha.owner()
    print(f"Shared address: {ha.vip}, on {owner.name if owner else 'no master, or several'}")
    for host in ha.plan.hosts:
        print(f"{host.name}: {', '.join((*host.addresses, host.address6))}")
    for balancer in ha.haproxies:
        print(f"Statistics of HAProxy on {balancer.host.name}: {balancer.socket}")


def _explaining(ha: HaLab, scene: Scene) -> str:
    """What a user types to have it explained, with the variables that make the scene unusual."""
    usual = ha.environment()
    own = [
        f"{name}={value}" for name, value in scene.environment.items() if usual.get(name) != value
    ]
    words = (*(("env", *own) if own else ()), "kubelag", *explain_words(scene))
    return shlex.join(("kubelag", "lab", "exec", "--", *words))


def _standing() -> HaLab:
    ha = find_ha(os.environ)
    if ha is None:
        raise LabError("No HA lab is up", "bring one up: kubelag lab up --topology ha")
    return ha
