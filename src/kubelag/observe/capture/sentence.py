"""The verdict on two captures, in one sentence."""

from typing import NamedTuple

from kubelag.model.network import LEAST_PAUSE_NS, Comparison
from kubelag.model.stretches import covered_ns
from kubelag.model.units import counted, seconds


class Shared(NamedTuple):
    """From when to when, on the near clock."""

    span: tuple[int, int]
    """Both captures were on."""
    lasted: tuple[int, int]
    """The command ran, or else the near end saw the connections."""


def sentence(compared: Comparison, drift_ns: int, shared: Shared) -> str:
    """Whether packets were late or lost, and who was silent for how long."""
    clocks = f", while the clocks drifted by {seconds(abs(drift_ns))}" if drift_ns else ""
    by_side = {
        side: covered_ns([one for one in compared.silences if one.silent == side])
        for side in ("client", "server", "network", "unclear")
    }
    worst = max(by_side, key=lambda side: by_side[side])
    way = _way(compared, has_network=by_side["network"] > 0)
    return f"{way}{clocks}; {_who(worst, by_side)}{_part(shared)}"


def _part(shared: Shared) -> str:
    """How much of the connections is spoken of, where not all of it is."""
    begin_ns, end_ns = shared.lasted
    both_ns = max(0, min(end_ns, shared.span[1]) - max(begin_ns, shared.span[0]))
    if end_ns - begin_ns - both_ns < LEAST_PAUSE_NS:
        return ""
    return f", in the {seconds(both_ns)} of {seconds(end_ns - begin_ns)} that both captures cover"


def _way(compared: Comparison, *, has_network: bool) -> str:
    both = compared.forth_ns, compared.back_ns
    delays = f"{seconds(both[0][0])} there and {seconds(both[1][0])} back"
    missing = compared.lost_forth + compared.lost_back
    if missing:
        text = counted(missing, "segment was lost", "segments were lost")
        return f"{text} between the two ends, the others took {delays}"
    worst = seconds(max(largest for _, largest in both))
    if any(largest - median >= LEAST_PAUSE_NS for median, largest in both):
        return f"Packets were late: they took {delays}, and up to {worst}"
    if has_network:
        return f"Packets were lost or late; those that both ends saw took {delays}, at most {worst}"
    return f"The packets were not late ({delays}, at most {worst}) and none was lost"


def _who(worst: str, by_side: dict[str, int]) -> str:
    silent_ns = by_side[worst]
    if not silent_ns:
        return "nobody was silent for 0.1 s or longer"
    if worst == "network":
        return f"the network kept both waiting for {seconds(silent_ns)}"
    if worst == "unclear":
        return f"nothing new crossed for {seconds(silent_ns)}, and whose turn it was is unclear"
    others = ", ".join(
        f"the {side} for {seconds(ns)}" for side, ns in by_side.items()
        if ns and side in {"client", "server", "network"} and side != worst
    )  # fmt: skip
    return f"the {worst} was silent for {seconds(silent_ns)}{f' ({others})' if others else ''}"
