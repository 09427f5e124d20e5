"""The report formats: a name and where its `write(report, stream)` is, loaded when asked for."""

import importlib
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import NamedTuple, Protocol, TextIO, cast

from kubelag.errors import UsageError
from kubelag.model.report import Report

GROUP = "kubelag.reports"
"""Entry-point group in which third parties offer `name = "package.module:write"`."""


class Writer(Protocol):
    """What a format is."""

    def __call__(self, report: Report, stream: TextIO, /) -> None:
        """Write the whole report."""


class Format(NamedTuple):
    """A format of our own."""

    name: str
    module: str


FORMATS = (
    Format("terminal", "kubelag.report.terminal"),
    Format("plain", "kubelag.report.plain"),
    Format("json", "kubelag.report.json_format"),
)


def default_format(stream: TextIO) -> str:
    """The format for a stream for which none was asked."""
    return "terminal" if stream.isatty() else "plain"


def names() -> tuple[str, ...]:
    """Every format that can be asked for, our own first."""
    own = tuple(one.name for one in FORMATS)
    return own + tuple(sorted({point.name for point in _foreign()} - set(own)))


def writer(name: str) -> Writer:
    """The named format's `write`; our own names cannot be taken by others.

    Raises:
        UsageError: No such format, or a third party's cannot be loaded.
    """
    own = next((one for one in FORMATS if one.name == name), None)
    if own:
        return cast("Writer", importlib.import_module(own.module).write)
    point = next((one for one in _foreign() if one.name == name), None)
    if point is None:
        raise UsageError(f"there is no report format {name!r}", f"use one of {', '.join(names())}")
    return _loaded(point)


def _foreign() -> Iterator[EntryPoint]:
    yield from entry_points(group=GROUP)


def _loaded(point: EntryPoint) -> Writer:
    try:
        return cast("Writer", point.load())
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"the report format {point.name!r} ({point.value}) cannot be loaded: {error}",
            "reinstall the package that offers it, or use another format",
        ) from error
