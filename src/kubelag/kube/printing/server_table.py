"""The server's Table, checked.

Format: `k8s.io/apimachinery/pkg/apis/meta/v1/types.go` (`Table`). Where kubectl cannot read a
Table it prints one line with nothing but `<unknown>` in it; here it is refused.
"""

from kubelag.kube.printing.errors import TableError
from kubelag.kube.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kubelag.kube.printing.values import Json, JsonObject

_VERSIONS = ("meta.k8s.io/v1", "meta.k8s.io/v1beta1")
_NEXT_STEP = "report it to whoever runs that API server, and print it with `-o json` meanwhile"


class Column(Record):
    """What one column holds."""

    name: str
    type: str = ""
    format: str = ""
    """`name` marks the column that identifies the object."""
    description: str = ""
    priority: int = 0
    """0: always shown; higher: only with `-o wide`."""


class Row(Record):
    """One object's cells."""

    cells: "list[Json]"
    """May be fewer or more than there are columns."""
    metadata: "JsonObject | None" = None
    """Of the object, where the server sent one."""


class Table(Record):
    """A list, or one chunk of it, or one object."""

    columns: tuple[Column, ...]
    """Empty: those of the table before."""
    rows: "list[Row]"


def is_table(value: "Json") -> bool:
    """Whether it says that it is a Table; a server may answer with plain objects instead."""
    return (
        isinstance(value, dict)
        and value.get("kind") == "Table"
        and value.get("apiVersion") in _VERSIONS
    )


def parse_table(value: "Json") -> Table:
    """The table in a server's answer; only what is printed is looked at.

    Raises:
        TableError: If it is none, with the field that is wrong.
    """
    if not isinstance(value, dict) or not is_table(value):
        raise TableError("the server's answer is no meta.k8s.io Table", _NEXT_STEP)
    columns = tuple(
        _column(one, f"columnDefinitions[{at}]")
        for at, one in enumerate(_list(value, "columnDefinitions", ""))
    )
    rows = [_row(one, f"rows[{at}]") for at, one in enumerate(_list(value, "rows", ""))]
    return Table(columns=columns, rows=rows)


def _column(value: "Json", where: str) -> Column:
    if not isinstance(value, dict):
        raise _wrong(where, "an object")
    texts = {
        name: _text(value, name, f"{where}.") for name in ("name", "type", "format", "description")
    }
    priority = value.get("priority") or 0
    if not isinstance(priority, int):
        raise _wrong(f"{where}.priority", "an integer")
    return Column(**texts, priority=int(priority))


def _row(value: "Json", where: str) -> Row:
    if not isinstance(value, dict):
        raise _wrong(where, "an object")
    cells = _list(value, "cells", f"{where}.")
    one = value.get("object")
    if one is None:
        return Row(cells=cells)
    metadata = one.get("metadata") if isinstance(one, dict) else one
    if not isinstance(metadata, dict | None):
        raise _wrong(f"{where}.object", "an object with metadata")
    return Row(cells=cells, metadata=metadata or {})


def _list(value: "JsonObject", name: str, where: str) -> "list[Json]":
    given = value.get(name)
    if given is None:
        return []
    if not isinstance(given, list):
        raise _wrong(f"{where}{name}", "a list")
    return given


def _text(value: "JsonObject", name: str, where: str) -> str:
    given = value.get(name)
    if given is None:
        return ""
    if not isinstance(given, str):
        raise _wrong(f"{where}{name}", "a string")
    return given


def _wrong(where: str, what: str) -> TableError:
    return TableError(f"the server's Table is malformed: {where} is not {what}", _NEXT_STEP)
