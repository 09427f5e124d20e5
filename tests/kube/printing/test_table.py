"""Tables, against what kubectl 1.33.1 and 1.20.2 printed (they agree on every recorded one)."""

import json
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.kube.printing.errors import TableError
from kubelag.kube.printing.server_table import is_table, parse_table
from kubelag.kube.printing.table import TableOptions, TablePrinter, join_sections

GOLDEN = Path(__file__).parent / "golden"
TABLES = json.loads((GOLDEN / "tables.json").read_text(encoding="utf-8"))
SECTIONS = json.loads((GOLDEN / "sections.json").read_text(encoding="utf-8"))

CELLS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
WORDS = st.text(string.ascii_letters + "é日😀", min_size=1, max_size=30)
FIELDS = st.sampled_from(
    [
        "kind",
        "apiVersion",
        "columnDefinitions",
        "rows",
        "cells",
        "object",
        "metadata",
        "name",
        "type",
        "format",
        "priority",
        "labels",
        "namespace",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=20,
)
OPTIONS = st.builds(
    TableOptions,
    is_wide=st.booleans(),
    has_headers=st.booleans(),
    has_namespaces=st.booleans(),
    has_labels=st.booleans(),
    label_columns=st.sampled_from([(), ("a",), ("x/y", "")]),
    kind_prefix=st.sampled_from(["", "pod"]),
)


def print_tables(tables: list[Any], options: TableOptions) -> str:
    printer = TablePrinter(options)
    for table in tables:
        printer.add(parse_table(table))
    return printer.text()


def make_table(rows: list[list[Any]], names: list[str]) -> dict[str, Any]:
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "columnDefinitions": [{"name": name} for name in names],
        "rows": [{"cells": cells} for cells in rows],
    }


@pytest.mark.parametrize("case", TABLES, ids=[case["title"] for case in TABLES])
def test_a_table_is_printed_as_kubectl_printed_it(case: dict[str, Any]) -> None:
    options = dict(case["options"])
    options["label_columns"] = tuple(options.get("label_columns", ()))
    assert print_tables(case["tables"], TableOptions(**options)) == case["printed"]


@pytest.mark.parametrize("case", SECTIONS["cases"], ids=lambda case: "-".join(case["kinds"]))
def test_several_types_are_printed_as_kubectl_printed_them(case: dict[str, Any]) -> None:
    prefixes = {"pods": "pod", "nodes": "node", "deployments": "deployment.apps"}
    texts = [
        print_tables(
            [SECTIONS["tables"][kind]],
            TableOptions(kind_prefix=prefixes.get(kind, ""), has_headers=case["has_headers"]),
        )
        for kind in case["kinds"]
    ]
    assert join_sections(texts, has_headers=case["has_headers"]) == case["printed"]


def test_a_lone_surrogate_is_printed_as_go_decodes_it() -> None:
    table = make_table([["a\ud800b", "c"]], ["Name", "End"])
    assert print_tables([table], TableOptions()) == "NAME   END\na\ufffdb    c\n"


def test_plain_objects_have_a_name_and_an_age() -> None:
    """The layout is kubectl's, from a server that answers with no Table."""
    objects: list[Any] = [
        {
            "metadata": {
                "name": "first",
                "namespace": "default",
                "creationTimestamp": "2024-05-06T07:08:09Z",
                "labels": {"b": "2", "a": "1"},
            }
        },
        {"metadata": {"name": "second", "labels": None}},
        {},
    ]
    options = TableOptions(
        has_namespaces=True, has_labels=True, label_columns=("x/a", "a"), kind_prefix="pod"
    )
    printer = TablePrinter(options)
    printer.add_objects(objects[:1], now_s=1714979289.0 + 125)
    printer.add_objects(objects[1:], now_s=1714979289.0 + 125)
    assert printer.text().splitlines() == [
        "NAMESPACE   NAME         AGE         A     A     LABELS",
        "default     pod/first    2m5s              1     a=1,b=2",
        "            pod/second   <unknown>               <none>",
        "            pod/         <unknown>               <none>",
    ]


def test_plain_objects_without_headers_have_none() -> None:
    printer = TablePrinter(TableOptions(has_headers=False))
    printer.add_objects([{"metadata": {"name": "x"}}], now_s=0.0)
    assert printer.text() == "x     <unknown>\n"


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"kind": "PodList"}, "no meta.k8s.io Table"),
        ({"apiVersion": "meta.k8s.io/v2"}, "no meta.k8s.io Table"),
        ({"columnDefinitions": {}}, "columnDefinitions is not a list"),
        ({"columnDefinitions": [5]}, "columnDefinitions[0] is not an object"),
        ({"columnDefinitions": [{"name": 5}]}, "columnDefinitions[0].name is not a string"),
        ({"columnDefinitions": [{"priority": "1"}]}, "columnDefinitions[0].priority is not"),
        ({"rows": "x"}, "rows is not a list"),
        ({"rows": [{}, 5]}, "rows[1] is not an object"),
        ({"rows": [{"cells": "x"}]}, "rows[0].cells is not a list"),
        ({"rows": [{"object": "x"}]}, "rows[0].object is not an object"),
        ({"rows": [{"object": {"metadata": []}}]}, "rows[0].object is not an object"),
    ],
)
def test_a_malformed_table_is_refused_with_its_field(change: dict[str, Any], where: str) -> None:
    with pytest.raises(TableError) as caught:
        parse_table({**make_table([], []), **change})
    assert where in str(caught.value)


@given(JSON)
def test_the_parser_raises_nothing_but_its_own_error(value: Any) -> None:
    shaped = (
        {**value, "kind": "Table", "apiVersion": "meta.k8s.io/v1"}
        if isinstance(value, dict)
        else value
    )
    for one in (value, shaped):
        try:
            table = parse_table(one)
        except TableError:
            continue
        assert is_table(one)
        printer = TablePrinter(TableOptions(has_namespaces=True, has_labels=True))
        printer.add(table)
        printer.text()


@given(st.lists(st.lists(CELLS, max_size=5), max_size=5), OPTIONS, st.lists(st.text(), max_size=4))
def test_whatever_cells_there_are_text_comes_out(
    rows: list[list[Any]], options: TableOptions, names: list[str]
) -> None:
    text = print_tables([make_table(rows, names)], options)
    assert text == "" or text.endswith("\n")
    assert "\x1b" not in text or any("\x1b" in name for name in names)


@given(st.data())
def test_every_column_begins_at_one_place(data: st.DataObject) -> None:
    """Of cells without blanks, the columns can be found again in every line."""
    count = data.draw(st.integers(1, 5))
    rows = data.draw(st.lists(st.lists(WORDS, min_size=count, max_size=count), min_size=1))
    names = [f"C{at}" for at in range(count)]
    chunk = data.draw(st.integers(1, 4))
    chunks = [rows[at : at + chunk] for at in range(0, len(rows), chunk)]
    text = print_tables([make_table(one, names) for one in chunks], TableOptions())
    lines = text.splitlines()
    assert [line.split() for line in lines] == [names, *rows]
    starts = [lines[0].index(name) for name in names]
    for line, cells in zip(lines[1:], rows, strict=True):
        assert all(line.startswith(cell, at) for at, cell in zip(starts, cells, strict=True))
        assert all(line[at - 3 : at] == "   " for at in starts[1:])
