"""What is to blame and how sure that is; no verdict may read as more certain than it is."""

from collections.abc import Iterator
from typing import Final

from kubelag.model import units
from kubelag.model.experiment import is_arm_of
from kubelag.model.report import Proof, ProofArm, Report, VerdictLine
from kubelag.model.verdict import VerdictValue
from kubelag.report.blocks import (
    Bar,
    Bars,
    Block,
    Gap,
    Grid,
    Link,
    Paragraph,
    Piece,
    Tone,
    heading,
    sentence,
    spoken,
)

_LABELS: Final[dict[VerdictValue, tuple[str, Tone]]] = {
    "proven": ("Proven cause", "proven"),
    "likely": ("Likely cause, not proven", "likely"),
    "contributing": ("Contributes, but is not the main cause", "contributing"),
    "unknown": ("Unknown, may be the cause", "unknown"),
    "ruled_out": ("Ruled out", "muted"),
}
_BLAMED: Final[tuple[VerdictValue, ...]] = ("proven", "likely", "contributing")
_CONTROLS: Final = {
    "observed": "unchanged, but watched",
    "unchanged": "unchanged",
    "unchanged_again": "unchanged, again",
    "placebo": "placebo: only the wrapper",
}


def label(value: VerdictValue) -> tuple[str, Tone]:
    """How certain a verdict is, in words, and its tone."""
    return _LABELS[value]


def leading(report: Report) -> VerdictLine | None:
    """The verdict that the headline speaks of; None where nothing is blamed."""
    first = next(iter(report.verdicts), None)
    return first if first and first.verdict in _BLAMED else None


def verdicts(report: Report) -> Iterator[Block]:
    """A section for each that is blamed, then those that could not be judged."""
    for verdict in report.verdicts:
        if verdict.verdict in _BLAMED:
            yield from _blamed(verdict, report)
    yield from _unknown(report)


def _blamed(verdict: VerdictLine, report: Report) -> Iterator[Block]:
    """The headline is not said twice."""
    text, tone = label(verdict.verdict)
    yield from heading(f"{text}: {spoken(verdict.cause)}", tone)
    proven = verdict.proof.sentence if verdict.proof else ""
    said = verdict.sentence if verdict.sentence not in report.headline else ""
    if said or proven:
        yield from (sentence(text) for text in (said, proven) if text)
        yield Gap()
    yield _arithmetic(verdict)
    if verdict.proof:
        yield from _proof(verdict.proof)
    yield from _evidence(verdict)


def _arithmetic(verdict: VerdictLine) -> Grid:
    predicted = Piece(units.interval(*verdict.predicted_saving_s), "strong")
    rows = [(Piece("predicted saving"), predicted, Piece(verdict.arithmetic))]
    proof = verdict.proof
    if proof is None:
        rows.append((Piece("measured saving"), Piece("not measured"), Piece("")))
    else:
        interval = f"95 % interval {units.interval(*proof.ci95_s)}"
        figure = Piece(units.duration(proof.saving_s), "strong")
        pairs = units.counted(proof.pairs, "pair")
        is_dosed = proof.experiment == "delay_response"
        measured = "cost by dose and response" if is_dosed else "measured saving"
        rows.append((Piece(measured), figure, Piece(f"{interval}, {pairs} of runs")))
        if proof.knock_on_s:
            moved = Piece(units.duration(proof.knock_on_s), "strong")
            rows.append((Piece("moved elsewhere"), moved, Piece("once this was gone")))
    return Grid(rows=tuple(rows))


def _proof(proof: Proof) -> Iterator[Block]:
    if proof.arms:
        yield Gap()
        yield Bars(rows=tuple(_arm(arm, proof) for arm in proof.arms))
    yield sentence(_noise(proof), "muted")


def _arm(arm: ProofArm, proof: Proof) -> Bar:
    longest_s = max(one.median_s for one in proof.arms)
    is_treated = is_arm_of(arm.name, proof.experiment)
    spread = units.interval(min(arm.walls_s), max(arm.walls_s)) if arm.walls_s else ""
    return Bar(
        label=_CONTROLS.get(arm.name, spoken(arm.name)),
        figures=(units.aligned(arm.median_s), f"[{spread}]"),
        fraction=arm.median_s / longest_s if longest_s else 0.0,
        tone="bar" if arm.name in _CONTROLS else "fast",
        label_tone="strong" if is_treated else "plain",
        aside=units.counted(len(arm.walls_s), "run"),
    )


def _noise(proof: Proof) -> str:
    """What the same comparison shows where nothing is removed: the measure of all the others."""
    if proof.same_against_same_s is None:
        walls_s = [wall for arm in proof.arms if arm.name in _CONTROLS for wall in arm.walls_s]
        spread = units.duration(max(walls_s) - min(walls_s)) if walls_s else "unknown"
        return (
            "Medians [fastest to slowest]. Noise of this machine: the runs with nothing removed "
            f"differ by {spread}"
        )
    return (
        "Medians [fastest to slowest]. Noise of this machine (95 %): unchanged against itself "
        f"{_control(proof.same_against_same_s)}, placebo {_control(proof.placebo_s)}"
    )


def _control(interval_s: tuple[float, float] | None) -> str:
    return "was not run" if interval_s is None else units.interval(*interval_s)


def _evidence(verdict: VerdictLine) -> Iterator[Block]:
    if verdict.evidence or verdict.sources:
        yield Gap()
    for fact in verdict.evidence:
        seen = Piece(f" (seen by {spoken(fact.observer)})", "muted")
        yield Paragraph(pieces=(Piece(f"- {fact.text}"), seen), hanging=2)
    for source in verdict.sources:
        yield Link(title=source.title, url=source.url)


def _unknown(report: Report) -> Iterator[Block]:
    unjudged = [one for one in report.verdicts if one.verdict == "unknown"]
    if not unjudged:
        return
    yield from heading("Could not be judged, so this may still be guilty", "warning")
    yield Grid(rows=tuple((Piece(spoken(one.cause)), Piece(_why_unknown(one))) for one in unjudged))


def _why_unknown(verdict: VerdictLine) -> str:
    missing = "; ".join(fact.text for fact in verdict.evidence)
    return f"{verdict.sentence}; missing: {missing}" if missing else verdict.sentence
