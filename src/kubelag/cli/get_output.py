"""The formats of `get`: which answers they need, and what they make of them.

Source: kubectl `pkg/cmd/get/get.go` (`Run`, `printGeneric`).
"""

import time
from itertools import groupby

from kubelag.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Protocol

    from kubelag.cli.flags import Options
    from kubelag.kube.printing.table import TableOptions
    from kubelag.kube.reading import Piece

    JsonObject = dict[str, Any]

    class Output(Protocol):
        """One format."""

        wants_tables: bool
        """Whether the server is to make the cells."""
        is_empty: bool
        """Whether there was nothing to be printed; known after `text`."""

        def text(self, pieces: Sequence[Piece]) -> str:
            """What is printed of the answers, which come type after type."""


def output_for(args: "Options", *, is_one: bool) -> "Output":
    """The format that the options ask for.

    Args:
        args: The options of `get`.
        is_one: Whether one object was asked for by name, which is then shown by itself.

    Raises:
        UsageError: If there is no such format, or it has no columns and one was asked for.
        TemplateError: If it is a JSONPath that cannot be read.
    """
    name, equals, rest = args.output.partition("=")
    if args.output in {"", "wide"}:
        return Tables(args)
    if args.show_labels:
        raise UsageError(
            f"{name} has no columns, and --show-labels asks for one", "leave out one of the two"
        )
    if name == "jsonpath" and equals:
        from kubelag.kube.printing.jsonpath import Template  # noqa: PLC0415 -- seldom asked

        return Objects(args, Template(rest).render, is_one=is_one, keep_managed=True)
    printers: dict[str, Callable[[], Callable[[JsonObject], str]]] = {
        "json": _json,
        "yaml": _yaml,
        "name": _names,
    }
    if args.output not in printers:
        raise UsageError(
            f"there is no output format {args.output!r}",
            "take wide, json, yaml, name or jsonpath=TEMPLATE",
        )
    write, keep_managed = printers[name](), args.show_managed_fields
    return Objects(args, write, is_one=is_one, keep_managed=keep_managed)


class Tables:
    """The server's tables, a section wherever the type changes.

    Where several types answered, names say theirs; whether one did not does not count.

    Args:
        args: The options of `get`.
    """

    wants_tables = True

    def __init__(self, args: "Options") -> None:
        self._args = args
        self._has_namespaces = False
        self.is_empty = True

    def text(self, pieces: "Sequence[Piece]") -> str:
        """Sections with an empty line between."""
        from kubelag.kube.printing.table import join_sections  # noqa: PLC0415 -- as every command

        groups = [list(group) for _, group in groupby(pieces, _type)]
        has_kinds = self._args.show_kind or len({_type(piece) for piece in pieces}) > 1
        texts = [self._section(group, has_kinds=has_kinds) for group in groups]
        filled = [text for text in texts if text]
        self.is_empty = not filled
        return join_sections(filled, has_headers=not self._args.no_headers)

    def _section(self, pieces: "Sequence[Piece]", *, has_kinds: bool) -> str:
        from kubelag.kube.printing.objects import is_list, items_of  # noqa: PLC0415 -- as above
        from kubelag.kube.printing.server_table import is_table, parse_table  # noqa: PLC0415 -- the same
        from kubelag.kube.printing.table import TablePrinter  # noqa: PLC0415 -- the same

        printer = TablePrinter(self._options(pieces[0], has_kinds=has_kinds))
        for piece in pieces:
            document = piece.document
            if is_table(document):
                printer.add(parse_table(document))
            else:
                objects = items_of(document) if is_list(document) else [document]
                printer.add_objects(objects, time.time())
        return printer.text()

    def _options(self, piece: "Piece", *, has_kinds: bool) -> "TableOptions":
        from kubelag.kube.printing.objects import kind_prefix  # noqa: PLC0415 -- as above
        from kubelag.kube.printing.table import TableOptions  # noqa: PLC0415 -- the same

        resource = piece.resource
        # As kubectl: once a section has had the column, all behind it have, if only an empty one.
        self._has_namespaces |= self._args.all_namespaces and resource.is_namespaced
        labels = (one for given in self._args.label_columns for one in given.split(","))
        return TableOptions(
            is_wide=self._args.output == "wide",
            has_headers=not self._args.no_headers,
            has_namespaces=self._has_namespaces,
            has_labels=self._args.show_labels,
            label_columns=tuple(labels),
            kind_prefix=kind_prefix(resource.kind, resource.group) if has_kinds else "",
        )


def _type(piece: "Piece") -> str:
    return f"{piece.resource.api_version}/{piece.resource.name}"


class Objects:
    """Whole objects: one by itself, what may be several as a List.

    Args:
        args: The options of `get`.
        write: Makes text of an object or a List.
        is_one: Whether one object was asked for by name.
        keep_managed: Whether `metadata.managedFields` stay.
    """

    wants_tables = False

    def __init__(
        self,
        args: "Options",
        write: "Callable[[JsonObject], str]",
        *,
        is_one: bool,
        keep_managed: bool,
    ) -> None:
        self._args = args
        self._write = write
        self._is_one = is_one
        self._keep_managed = keep_managed
        self.is_empty = False

    def text(self, pieces: "Sequence[Piece]") -> str:
        """The object, or all of them as one List."""
        from kubelag.kube.printing.objects import (  # noqa: PLC0415 -- not for tables
            as_list,
            is_list,
            items_of,
            without_managed_fields,
        )

        documents = [piece.document for piece in pieces]
        groups = [items_of(one) if is_list(one) else [one] for one in documents]
        found = [item for group in groups for item in group]
        if not found and (self._is_one or self._args.ignore_not_found):
            return ""
        whole = found[0] if self._is_one and len(found) == 1 else as_list(found)
        return self._write(whole if self._keep_managed else without_managed_fields(whole))


def _json() -> "Callable[[JsonObject], str]":
    from kubelag.kube.printing.go_json import print_json  # noqa: PLC0415 -- one of them is asked

    return print_json


def _yaml() -> "Callable[[JsonObject], str]":
    from kubelag.kube.printing.go_yaml import print_yaml  # noqa: PLC0415 -- one of them is asked

    return print_yaml


def _names() -> "Callable[[JsonObject], str]":
    from kubelag.kube.printing.objects import is_list, items_of, print_names  # noqa: PLC0415 -- as above

    return lambda whole: print_names(items_of(whole) if is_list(whole) else [whole])
