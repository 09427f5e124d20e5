"""Which fault is on in a standing HA lab, on and off.

One at a time: two faults may want the same balancer, and whoever restores it would end the other.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from kubelag.errors import LabError
from kubelag.lab.faults.contract import HaFault, Staged
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.private_files import write_private

SWITCH_FILE = "fault-on.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchedOn:
    """The fault that is on, or was about to be."""

    fault: str
    first_entry: int
    """The first number in the ledger that is the fault's own."""


def switched_on(directory: Path) -> SwitchedOn | None:
    """The fault that is on in the lab of this directory, whole or half; None for none."""
    try:
        content = (directory / SWITCH_FILE).read_bytes()
    except FileNotFoundError:
        return None
    return msgspec.json.decode(content, type=SwitchedOn)


def switch_on(ha: HaLab, fault: HaFault) -> str:
    """Make the trouble, and see it; where that fails, it is taken back.

    Returns:
        The sentence that shows it act.

    Raises:
        LabError: One is on already, this one too; or it cannot be made, or does not act.
    """
    _refuse_second(ha)
    with _remembered(ha, fault):
        fault.on(ha)
        return fault.see(ha)


@contextmanager
def on_stage(ha: HaLab, fault: HaFault) -> Iterator[None]:
    """What the fault's scene needs besides the trouble, for as long as this lasts.

    Raises:
        LabError: A fault is on, or the stage cannot be set.
    """
    if not isinstance(fault, Staged):
        yield
        return
    _refuse_second(ha)
    with _remembered(ha, fault):
        fault.set_stage(ha)
    try:
        yield
    finally:
        switch_off(ha, fault)


def _refuse_second(ha: HaLab) -> None:
    if on := switched_on(ha.directory):
        raise LabError(
            f"The fault {on.fault} is on in this lab", f"first: kubelag lab fault {on.fault} off"
        )


@contextmanager
def _remembered(ha: HaLab, fault: HaFault) -> Iterator[None]:
    """Write down that it is on before it is; where making it fails, it is taken back."""
    record = SwitchedOn(fault=fault.id, first_entry=ha.ledger.mark())
    write_private(ha.directory / SWITCH_FILE, msgspec.json.encode(record))
    ha.forget()
    try:
        yield
    except BaseException:
        switch_off(ha, fault)
        raise


def switch_off(ha: HaLab, fault: HaFault) -> bool:
    """Take the trouble back, also one that a crash left half made.

    Returns:
        Whether it was on.

    Raises:
        LabError: A part does not go back; the fault counts as on until it does.
    """
    on = switched_on(ha.directory)
    if on is None or on.fault != fault.id:
        return False
    ha.ledger.reap(range(on.first_entry, ha.ledger.mark()))
    fault.off(ha)
    ha.forget()
    (ha.directory / SWITCH_FILE).unlink()
    return True
