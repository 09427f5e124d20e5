"""Tables as `kubectl get` prints them.

The server makes the cells (`meta.k8s.io/v1` Table); the client chooses columns, adds namespace,
kind and labels, makes cells safe for a terminal, and aligns. Sources:
`k8s.io/cli-runtime/pkg/printers/tableprinter.go` and `k8s.io/kubectl/pkg/cmd/get/get.go`, both of
1.33; quirks that show in the output are kept, each with a remark.
"""

from kubelag.kube.printing.columns import Columns
from kubelag.kube.printing.server_table import Column
from kubelag.kube.printing.values import in_string_verb, in_text
from kubelag.kube.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kubelag.kube.printing.server_table import Row, Table
    from kubelag.kube.printing.values import Json, JsonObject

_BREAKS = ("\f", "\n", "\r")
_ESCAPE = "\x1b"
_NO_LABELS = "<none>"
_NAMESPACE = Column(name="Namespace", type="string")
_OBJECT_COLUMNS = ("NAME", "AGE")
"""Of what came as objects and not as a table, as custom resources once did."""


class TableOptions(Record):
    """What the flags ask for, for one type of resource."""

    is_wide: bool = False
    """`-o wide`: also the columns of lower priority."""
    has_headers: bool = True
    """Not `--no-headers`."""
    has_namespaces: bool = False
    """`-A`, of a namespaced type (kubectl prints no NAMESPACE for cluster-scoped ones)."""
    has_labels: bool = False
    """`--show-labels`."""
    label_columns: "tuple[str, ...]" = ()
    """`-L`: label keys, one column each."""
    kind_prefix: str = ""
    """`--show-kind`, or several types in one command: `pod` or `deployment.apps`, else empty."""


class TablePrinter:
    """Prints the tables of one type, chunk after chunk, under one header and in one alignment.

    For several types take one printer each, and `join_sections`.
    """

    def __init__(self, options: TableOptions) -> None:
        self._options = options
        self._columns = Columns()
        self._last: tuple[Column, ...] = ()
        self._has_printed_header = False
        self._has_printed_object_header = False

    def add(self, table: "Table") -> None:
        """The next chunk of a list, or the next single object's table.

        Its header is printed if it differs from the last one's and there is any row.
        """
        repeats = not table.columns or table.columns == self._last
        has_header = self._options.has_headers and not (self._has_printed_header and repeats)
        if not repeats:
            self._last = table.columns
            self._has_printed_header = False
        self._has_printed_header |= bool(table.rows)
        self._print(self._last, table.rows, has_header=has_header)

    def add_objects(self, objects: "Sequence[JsonObject]", now_s: float) -> None:
        """What the server sent as plain objects: only name and age, seen from `now_s`.

        Nothing is cut or escaped here, as kubectl does not.
        """
        if self._options.has_headers and objects and not self._has_printed_object_header:
            self._columns.write("\t".join(self._object_header()))
            self._has_printed_object_header = True
        for one in objects:
            self._columns.write("\t".join(self._object_cells(one, now_s)))

    def text(self) -> str:
        """All that was added, aligned."""
        text = self._columns.text()
        if text.isascii():
            return text
        import re  # noqa: PLC0415 -- 5 ms

        # Go's decoder makes U+FFFD of a lone surrogate, Python's keeps it.
        return re.sub("[\ud800-\udfff]", "\ufffd", text)

    def _print(self, given: tuple[Column, ...], rows: "Sequence[Row]", *, has_header: bool) -> None:
        columns = self._decorated(given)
        shown = [
            at for at, column in enumerate(columns) if self._options.is_wide or not column.priority
        ]
        if has_header and rows:
            self._columns.write("\t".join(_upper(columns[at].name) for at in shown))
        name_at = _name_column(given) if self._options.kind_prefix else None
        has_all = len(shown) == len(columns)
        for row in rows:
            cells = self._cells(row, name_at, len(columns))
            if not has_all:
                cells = [cells[at] for at in shown if at < len(cells)]
            self._columns.write(_line(cells[: len(columns)]))

    def _decorated(self, columns: tuple[Column, ...]) -> tuple[Column, ...]:
        options = self._options
        before = (_NAMESPACE,) if options.has_namespaces else ()
        labels = tuple(Column(name=name) for name in self._label_names())
        return (*before, *columns, *labels)

    def _label_names(self) -> "list[str]":
        names = [_upper(key.rpartition("/")[2]) for key in self._options.label_columns]
        return [*names, "LABELS"] if self._options.has_labels else names

    def _cells(self, row: "Row", name_at: "int | None", count: int) -> "list[Json]":
        options = self._options
        cells = row.cells
        if name_at is not None and name_at < len(cells):
            name = f"{options.kind_prefix}/{in_string_verb(cells[name_at])}"
            cells = [*cells[:name_at], name, *cells[name_at + 1 :]]
        if row.metadata is None:
            return self._cells_without_object(cells, name_at, count)
        if options.has_namespaces:
            namespace = row.metadata.get("namespace")
            cells = [namespace if isinstance(namespace, str) else "", *cells]
        if options.has_labels or options.label_columns:
            cells = [*cells, *self._label_cells(row.metadata)]
        return cells

    def _cells_without_object(
        self, cells: "list[Json]", name_at: "int | None", count: int
    ) -> "list[Json]":
        """Fill up with empty cells; but kubectl's loop ends half-way, its bound moving with it."""
        options = self._options
        if options.has_namespaces:
            cells = [None, *cells]
        if name_at is None and not (
            options.has_namespaces or options.has_labels or options.label_columns
        ):
            return cells
        lacking = max(count - len(cells), 0)
        return [*cells, *([None] * ((lacking + 1) // 2))]

    def _label_cells(self, metadata: "JsonObject") -> "list[str]":
        labels = _labels(metadata)
        cells = [labels.get(key, "") for key in self._options.label_columns]
        if not self._options.has_labels:
            return cells
        pairs = ",".join(f"{key}={labels[key]}" for key in sorted(labels))
        return [*cells, pairs or _NO_LABELS]

    def _object_header(self) -> "list[str]":
        before = ["NAMESPACE"] if self._options.has_namespaces else []
        return [*before, *_OBJECT_COLUMNS, *self._label_names()]

    def _object_cells(self, one: "JsonObject", now_s: float) -> "list[str]":
        from kubelag.kube.printing.age import age  # noqa: PLC0415 - rarely needed

        options = self._options
        given = one.get("metadata")
        metadata: JsonObject = given if isinstance(given, dict) else {}
        name, namespace = (
            value if isinstance(value := metadata.get(key), str) else ""
            for key in ("name", "namespace")
        )
        before = [namespace] if options.has_namespaces else []
        name = f"{options.kind_prefix}/{name}" if options.kind_prefix else name
        cells = [*before, name, age(metadata.get("creationTimestamp"), now_s)]
        return cells + self._label_cells(metadata)


def join_sections(texts: "Iterable[str]", *, has_headers: bool = True) -> str:
    """The text of several types: a blank line between, unless without headers; none for nothing."""
    return ("\n" if has_headers else "").join(filter(None, texts))


def _name_column(columns: tuple[Column, ...]) -> "int | None":
    for at, column in enumerate(columns):
        if column.format == "name" and column.type == "string":
            return at
    return None


def _labels(metadata: "JsonObject") -> "dict[str, str]":
    """Its labels; none at all where one is no string, as in `unstructured.GetLabels`."""
    given = metadata.get("labels")
    if not isinstance(given, dict):
        return {}
    labels = {key: value for key, value in given.items() if isinstance(value, str)}
    return labels if len(labels) == len(given) else {}


def _line(cells: "list[Json]") -> str:
    texts = [
        cell if isinstance(cell, str) else "" if cell is None else in_text(cell) for cell in cells
    ]
    line = "\t".join(texts)
    if not any(char in line for char in (*_BREAKS, _ESCAPE)):
        return line
    return "\t".join(
        _cut(text) if isinstance(cell, str) else _escaped(text)
        for cell, text in zip(cells, texts, strict=True)
    )


def _cut(text: str) -> str:
    """Up to the first line break, which would spoil the table; only strings are cut."""
    ends = [at for char in _BREAKS if (at := text.find(char)) >= 0]
    return f"{_escaped(text[: min(ends)])}..." if ends else _escaped(text)


def _escaped(text: str) -> str:
    """Without what starts an escape sequence (`ESC[31m`), or goes back to the line's start.

    Source: `k8s.io/cli-runtime/pkg/printers/terminal.go`.
    """
    return text.replace("\x1b", "^[").replace("\r", "\\r")


def _upper(text: str) -> str:
    """Upper case letter by letter, as Go's (which leaves `ß`)."""
    if text.isascii():
        return text.upper()
    return "".join(upper if len(upper := letter.upper()) == 1 else letter for letter in text)
