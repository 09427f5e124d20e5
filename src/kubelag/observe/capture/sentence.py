"""The verdict on two captures, in one sentence."""

from collections.abc import Iterable

from kubelag.model.network import Comparison, Silence
from kubelag.model.units import counted, seconds


def sentence(compared: Comparison, drift_ns: int) -> str:
    """Whether packets were late or lost, and who was silent for how long."""
    clocks = f", while the clocks drifted by {seconds(abs(drift_ns))}" if drift_ns else ""
    by_side = {
        side: _covered([one for one in compared.silences if one.silent == side])
        for side in ("client", "server", "network", "unclear")
    }
    worst = max(by_side, key=lambda side: by_side[side])
    return f"{_way(compared, is_late=by_side['network'] > 0)}{clocks}; {_who(worst, by_side)}"


def _way(compared: Comparison, *, is_late: bool) -> str:
    delays = f"{seconds(compared.forth_ns[0])} there and {seconds(compared.back_ns[0])} back"
    missing = compared.lost_forth + compared.lost_back
    if missing:
        text = counted(missing, "segment was lost", "segments were lost")
        return f"{text} between the two ends, the others took {delays}"
    worst = max(compared.forth_ns[1], compared.back_ns[1])
    if is_late:
        return f"Packets were late: they took {delays}, and up to {seconds(worst)}"
    return f"The packets were not late ({delays}, at most {seconds(worst)}) and none was lost"


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


def _covered(silences: Iterable[Silence]) -> int:
    """Nanoseconds in which at least one of them lasted."""
    total, until = 0, 0
    for one in sorted(silences, key=lambda one: one.start_ns):
        total += max(0, one.end_ns - max(one.start_ns, until))
        until = max(until, one.end_ns)
    return total
