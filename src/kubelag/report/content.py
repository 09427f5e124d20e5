"""What a report says and in which order, the same for every text format."""

from collections.abc import Iterator

from kubelag.model import units
from kubelag.model.remedy import Advice
from kubelag.model.report import (
    CacheLine,
    CouldNotLook,
    ObserverLine,
    Report,
    RuledOut,
    VerdictLine,
    WayLine,
)
from kubelag.report.blocks import (
    Block,
    Grid,
    Paragraph,
    Piece,
    Tone,
    Verbatim,
    heading,
    sentence,
    spoken,
)
from kubelag.report.factors import factors
from kubelag.report.header import header
from kubelag.report.verdicts import verdicts


def document(report: Report) -> tuple[Block, ...]:
    """All blocks of a report: the remedies come last, where a terminal's reader looks first."""
    return (
        *header(report),
        *factors(report),
        *verdicts(report),
        *_way(report),
        *_ruled_out(report),
        *_could_not_look(report.could_not_look),
        *_notes(report.cache, report.notes),
        *_errors(report.errors),
        *_remedies(report.remedies),
        *_colophon(report),
    )


def _way(report: Report) -> Iterator[Block]:
    """The hops, and who was silent: where most of a hunt by hand goes."""
    is_all_well = all(line.is_well for line in report.way)
    if report.way or report.silences:
        yield from heading("The way to the server")
    if report.way:
        yield Grid(rows=tuple(_hop(line, is_marked=not is_all_well) for line in report.way))
    if not is_all_well:
        yield sentence("! failed, slow or lossy, as far as kubelag saw it", "muted")
    yield from map(_item, report.silences)


def _hop(line: WayLine, *, is_marked: bool) -> tuple[Piece, ...]:
    """The mark is for those who see no colour."""
    tone: Tone = "plain" if line.is_well else "slow"
    mark = "" if line.is_well else "! "
    margin = " " * 2 if is_marked and line.is_well else mark
    return Piece(f"{margin}{line.hop}", tone), Piece(line.sentence)


def _ruled_out(report: Report) -> Iterator[Block]:
    """What no one suspected, and what an experiment acquitted."""
    acquitted = (one for one in report.verdicts if one.verdict == "ruled_out")
    innocent: list[RuledOut | VerdictLine] = [*acquitted, *report.ruled_out]
    if innocent:
        yield from heading("Ruled out")
        yield _table(_together(innocent))


def _together(innocent: list[RuledOut | VerdictLine]) -> Iterator[tuple[str, str]]:
    """Causes that the same sentence acquits share it."""
    by_sentence: dict[str, list[str]] = {}
    for one in innocent:
        by_sentence.setdefault(one.sentence, []).append(spoken(one.cause))
    for sentence_, names in by_sentence.items():
        *all_but_last, last = names
        yield from ((f"{name},", "") for name in all_but_last)
        yield last, sentence_


def _could_not_look(unseen: tuple[CouldNotLook, ...]) -> Iterator[Block]:
    if unseen:
        yield from heading("Could not look, so this may still be guilty", "warning")
        yield _table((spoken(one.observer), one.why) for one in unseen)


def _notes(cache: CacheLine | None, notes: tuple[str, ...]) -> Iterator[Block]:
    lines = ((cache.sentence,) if cache else ()) + notes
    if lines:
        yield from heading("Good to know")
        yield from map(_item, lines)


def _errors(errors: tuple[str, ...]) -> Iterator[Block]:
    if errors:
        yield from heading("kubelag's own errors, so the report may be incomplete", "warning")
        yield from map(_item, errors)


def _remedies(remedies: tuple[Advice, ...]) -> Iterator[Block]:
    if remedies:
        yield from heading("What to do")
    for number, advice in enumerate(remedies, start=1):
        summary = Piece(f"{number}. {advice.summary}")
        yield Paragraph(pieces=(summary, Piece(f" ({advice.id})", "muted")), hanging=3)
        for command in advice.commands:
            yield Verbatim(text=command, indent=7)
        if advice.undo:
            yield Verbatim(text=advice.undo, label="undo:", indent=7)


def _colophon(report: Report) -> Iterator[Block]:
    yield from heading("How it was watched")
    yield sentence(_observer(report.observer), _lost_tone(report.observer))
    made = f"kubelag {report.kubelag_version}".strip()
    yield sentence(", ".join(part for part in (made, report.started_at) if part), "muted")


def _observer(observer: ObserverLine) -> str:
    lost = f"{observer.lost:,} lost" if observer.lost else "none lost"
    seen = units.counted(observer.events, "event")
    return f"{observer.kind or 'not watched'}: {seen}, {lost}; {_overhead(observer.overhead_s)}"


def _overhead(overhead_s: float | None) -> str:
    if overhead_s is None:
        return "what watching cost is unknown, since nothing was run again unwatched"
    if overhead_s <= 0:
        return "watching cost nothing that could be measured"
    return f"watching cost {units.duration(overhead_s)}"


def _lost_tone(observer: ObserverLine) -> Tone:
    return "warning" if observer.lost else "muted"


def _table(rows: Iterator[tuple[str, str]]) -> Grid:
    return Grid(rows=tuple((Piece(name), Piece(text)) for name, text in rows))


def _item(text: str) -> Paragraph:
    return Paragraph(pieces=(Piece(f"- {text}"),), hanging=2)
