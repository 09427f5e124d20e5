"""Where the time went: one line per factor, adding up to the whole with the unexplained rest."""

from collections.abc import Iterator

from kubelag.model import units
from kubelag.model.report import FactorLine, Report
from kubelag.report.blocks import Bar, Bars, Block, Paragraph, Piece, heading, sentence

_KEY = "In brackets: time as the only thing in the way, to time in the way at all"


def factors(report: Report) -> Iterator[Block]:
    """The table, and what to think of it."""
    took = units.duration(report.wall_s)
    yield from heading(f"Where the {took} went")
    ranges = tuple(_range(factor) for factor in report.factors)
    yield Bars(rows=_rows(report, ranges))
    if any(ranges):
        yield sentence(_KEY, "muted")
    if report.incomplete:
        yield _incomplete(report)


def _rows(report: Report, ranges: tuple[str, ...]) -> tuple[Bar, ...]:
    *shares, rest = units.percentages(
        [factor.share for factor in report.factors] + [report.unexplained_share]
    )
    lines = tuple(
        _row(factor, share, text, has_ranges=any(ranges))
        for factor, share, text in zip(report.factors, shares, ranges, strict=True)
    )
    blank = ("",) if any(ranges) else ()
    return (
        *lines,
        Bar(
            label="unexplained",
            figures=(units.aligned(report.unexplained_s), rest, *blank),
            fraction=report.unexplained_share,
            tone="rest",
        ),
        Bar(
            label="total",
            figures=(units.aligned(report.wall_s), "100.0 %", *blank),
            fraction=None,
            label_tone="strong",
        ),
    )


def _row(factor: FactorLine, share: str, text: str, *, has_ranges: bool) -> Bar:
    return Bar(
        label=factor.title,
        figures=(units.aligned(factor.critical_s), share, *((text,) if has_ranges else ())),
        fraction=factor.share,
        aside=units.counted(factor.count, "event") if factor.count else "",
    )


def _range(factor: FactorLine) -> str:
    """Nothing where both ends read the same."""
    if units.duration(factor.exclusive_s) == units.duration(factor.union_s):
        return ""
    return f"[{units.interval(factor.exclusive_s, factor.union_s)}]"


def _incomplete(report: Report) -> Paragraph:
    rest = units.percent(report.unexplained_share)
    text = f"{rest} of the time is unexplained, so what is said here is not the whole cause"
    return Paragraph(pieces=(Piece("Cause incomplete: ", "warning"), Piece(text)))
