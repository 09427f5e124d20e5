"""The JSON Schema of the report, made from its dataclasses and the docstrings of their fields."""

import ast
import inspect
from collections.abc import Iterator
from dataclasses import fields
from itertools import pairwise
from typing import Any

import msgspec

from kubelag.model import remedy, report, verdict
from kubelag.model.encoding import encode_indented
from kubelag.model.report import Report

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_MODULES = (report, verdict, remedy)


def encoded() -> bytes:
    """The schema as it is published in `schema/report-1.json`."""
    return encode_indented(schema())


def schema() -> dict[str, Any]:
    """JSON Schema 2020-12. Every field is always written, so every field is required."""
    (reference,), definitions = msgspec.json.schema_components(
        [Report], ref_template="#/$defs/{name}"
    )
    for name, definition in definitions.items():
        _complete(name, definition)
    title = {"title": "What kubelag says about one command", "description": Report.__doc__}
    return {"$schema": DRAFT, **title, **reference, "$defs": definitions}


def _complete(name: str, definition: dict[str, Any]) -> None:
    cls = next(vars(module)[name] for module in _MODULES if name in vars(module))
    names = [field.name for field in fields(cls)]
    definition["properties"] = {one: definition["properties"][one] for one in names}
    definition["required"] = names
    for field, text in _field_docs(cls):
        definition["properties"][field]["description"] = text
    for properties in definition["properties"].values():
        properties.pop("default", None)
        if len(properties.get("enum", ())) == 1:
            properties["const"] = properties.pop("enum")[0]


def _field_docs(cls: type) -> Iterator[tuple[str, str]]:
    """The string under each field; Python itself forgets it."""
    (definition,) = ast.parse(inspect.getsource(cls)).body
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    for field, after in pairwise(body):
        match field, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield name, " ".join(text.split())
            case _:
                pass
