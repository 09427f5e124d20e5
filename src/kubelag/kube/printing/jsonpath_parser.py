r"""JSONPath templates, from text to nodes.

A template is text with actions in braces: `{.a.b}`, `{['a\.b']}`, `{[0]}`, `{[0:5:2]}`, `{[0,2]}`,
`{.items[*]}`, `{..name}`, `{[?(@.x=="y")]}`, `{range …}…{end}`, `{"\n"}`, `{@}`. Sources:
`k8s.io/client-go/util/jsonpath/parser.go`, and kubernetes.io/docs/reference/kubectl/jsonpath.
"""

import re

from kubelag.kube.printing.errors import TemplateError
from kubelag.kube.printing.go_strings import unquoted
from kubelag.kube.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from kubelag.kube.printing.values import Json

_END = ""
"""What `_next` gives behind the last character."""
_FIELD_ENDS = frozenset(" \t\r\n.,[]$@{}") | {_END}
_QUOTED_KEY = re.compile(r"'([^']*)'")
_SLICE = re.compile(r"(-?[0-9]*)(:-?[0-9]*)?(:-?[0-9]*)?")
_COMPARISON = re.compile(r"([^!<>=]+)([!<>=]+)(.+)")
_INT64 = 1 << 63
_INT64_DIGITS = 20
_NEXT_STEP = "see kubernetes.io/docs/reference/kubectl/jsonpath"
_RELAXED = re.compile(r"\{\.?([^{}]+)\}|\.?([^{}]+)")


class Literal(Record):
    """Text, a number or a boolean that stands for itself."""

    value: "Json"
    is_text: bool = True
    """Text is printed once; anything else once for each node before it."""


class Field(Record):
    """The value of a key."""

    name: str


class Wildcard(Record):
    """All values of a map, or all items."""


class Recursive(Record):
    """The node and everything below it."""


class Slice(Record):
    """Items by their positions; `[3]` is `[3:4]`."""

    start: "int | None"
    stop: "int | None"
    step: "int | None"
    is_single: bool = False
    """Of `[-1]`, whose end 0 is meant as the list's end."""


class Union(Record):
    """What several paths give, one path after the other."""

    paths: "tuple[tuple[Node, ...], ...]"


class Filter(Record):
    """Items for which a comparison holds; operator `exists` has no right side."""

    left: "tuple[Node, ...]"
    operator: str
    right: "tuple[Node, ...]" = ()


class Keyword(Record):
    """`range`, `end`, or a word that is none and fails when it is reached."""

    name: str
    at: int
    """Its place in the template, for the error; first character: 1."""


Node = Literal | Field | Wildcard | Recursive | Slice | Union | Filter | Keyword

Action = tuple[Node, ...]
"""What stands in one pair of braces, each node applied to what the one before it gave."""


def parse_template(text: str) -> "tuple[Action, ...]":
    """The actions and texts of a template, in their order.

    Raises:
        TemplateError: If it is malformed, with the place.
    """
    return tuple(tuple(nodes) for nodes in _Parser(text, 0, text).template())


def relaxed(text: str) -> str:
    """A path as `--sort-by` and custom columns take it: braces and the first dot may be missing.

    `-o jsonpath=.a` is not relaxed by kubectl: it prints the text `.a`.

    Raises:
        TemplateError: If it is more than one path.
    """
    found = _RELAXED.fullmatch(text)
    if not text or found is None:
        raise TemplateError(
            f"{text!r} is not a path such as {{.a.b}} or .a.b, braces being optional", _NEXT_STEP
        )
    return f"{{.{found[1] or found[2]}}}"


class _Parser:
    """Goes through a template, or through a part of one in braces of its own.

    Args:
        text: The template, or a part of one.
        offset: Where it begins in the whole.
        whole: The template, for errors.
    """

    def __init__(self, text: str, offset: int, whole: str) -> None:
        self._text = text
        self._offset = offset
        self._whole = whole
        self._at = 0

    def template(self) -> "list[list[Node]]":
        """Texts and actions, in turn."""
        actions: list[list[Node]] = []
        while self._at < len(self._text):
            start = self._text.find("{", self._at)
            end = start if start >= 0 else len(self._text)
            if end > self._at:
                actions.append([Literal(value=self._text[self._at : end])])
            self._at = end
            if start >= 0:
                self._at += 1
                actions.append(self._action())
        return actions

    def _action(self) -> "list[Node]":
        nodes: list[Node] = []
        while not self._text.startswith("}", self._at):
            if self._text.startswith("[?(", self._at):
                nodes.append(self._filter())
            elif self._text.startswith("..", self._at):
                self._recursive(nodes)
            else:
                nodes += self._step()
        self._at += 1
        return nodes

    def _step(self) -> "list[Node]":
        start = self._at
        character = self._next()
        if character in ("", "\r", "\n"):
            self._fail("the action is not closed by }", start)
        if character in " @$":
            return []
        if character == "[":
            return self._brackets()
        if character in "\"'":
            return [self._quoted(character)]
        if character == ".":
            return [self._field()]
        if character in "+-" or character.isdecimal():
            return [self._number(start)]
        if character == "_" or character.isalpha():
            return [self._keyword(start)]
        return self._fail(f"{character!r} has no meaning in an action", start)

    def _next(self) -> str:
        character = self._text[self._at : self._at + 1]
        self._at += len(character)
        return character

    def _recursive(self, nodes: "list[Node]") -> None:
        if nodes and isinstance(nodes[-1], Recursive):
            self._fail("two recursive descents (..) follow each other", self._at)
        self._at += 2
        nodes.append(Recursive())
        following = self._text[self._at : self._at + 1]
        if following == "_" or following.isalpha() or following.isdecimal():
            nodes.append(self._field())

    def _field(self) -> Node:
        start = self._at
        while (character := self._next()) not in _FIELD_ENDS:
            if character == "\\":
                self._next()
        self._at -= len(character)
        name = self._text[start : self._at]
        return Wildcard() if name == "*" else Field(name=name.replace("\\", ""))

    def _keyword(self, start: int) -> Node:
        while (character := self._next()) not in _FIELD_ENDS:
            pass
        self._at -= len(character)
        name = self._text[start : self._at]
        if name in ("true", "false"):
            return Literal(value=name == "true", is_text=False)
        return Keyword(name=name, at=self._offset + start + 1)

    def _number(self, start: int) -> Node:
        while (character := self._next()) == "." or character.isdecimal():
            pass
        self._at -= len(character)
        text = self._text[start : self._at]
        integer = _int64(text) if re.fullmatch(r"[+-]?[0-9]+", text) else None
        if integer is not None:
            return Literal(value=integer, is_text=False)
        is_float = re.fullmatch(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)", text) is not None
        if is_float and abs(float(text)) < float("inf"):
            return Literal(value=float(text), is_text=False)
        return self._fail(f"{text} is not a number", start)

    def _quoted(self, quote: str) -> Node:
        start = self._at - 1
        while True:
            character = self._next()
            if character in ("", "\n"):
                self._fail("the quoted string is not closed", start)
            if character == quote and self._text[self._at - 2] != "\\":
                break
        text = unquoted(self._text[start + 1 : self._at - 1], quote)
        if text is None:
            self._fail("the quoted string has an escape that is none", start)
        return Literal(value=text)

    def _brackets(self) -> "list[Node]":
        start = self._at
        while (character := self._next()) != "]":
            if character in ("", "\n"):
                self._fail("the array is not closed by ]", start - 1)
        text = self._text[start : self._at - 1]
        if "," in text:
            return [self._union(text.split(","), start)]
        key = _QUOTED_KEY.fullmatch(text)
        if key is not None:
            return self._part(f".{key[1]}", start)
        return [self._slice(":" if text == "*" else text, start)]

    def _part(self, text: str, start: int) -> "list[Node]":
        """The first action of a part of the template, which is a path of its own."""
        parser = _Parser(f"{text}}}", self._offset + start, self._whole)
        nodes = parser._action()
        parser.template()  # what stands behind a brace within it is checked, and not used
        return nodes

    def _union(self, texts: list[str], start: int) -> Node:
        paths = [tuple(self._part(f"[{text.strip(' ')}]", start)) for text in texts]
        return Union(paths=tuple(paths))

    def _slice(self, text: str, start: int) -> Node:
        found = _SLICE.fullmatch(text)
        if found is None:
            self._fail(f"[{text}] is no index, slice or 'key'", start - 1)
        first, second, third = found.groups()
        begin = self._index(first, start)
        if second is None:
            return Slice(start=begin, stop=(begin or 0) + 1, step=None, is_single=True)
        step = self._index((third or "")[1:], start)
        return Slice(start=begin, stop=self._index(second[1:], start), step=step)

    def _index(self, text: str, start: int) -> "int | None":
        if not text:
            return None
        index = _int64(text) if text != "-" else None
        if index is None:
            self._fail(f"{text} is not an index", start)
        return index

    def _filter(self) -> Node:
        start = self._at
        self._at += 3
        inner_start = self._at
        text = self._filter_text(start)
        found = _COMPARISON.fullmatch(text)
        if found is None:
            return Filter(left=tuple(self._part(text, inner_start)), operator="exists")
        left, operator, right = found.groups()
        return Filter(
            left=tuple(self._part(left, inner_start)),
            operator=operator,
            right=tuple(self._part(right, inner_start + found.start(3))),
        )

    def _filter_text(self, start: int) -> str:
        """What stands between `[?(` and `)]`; one within the first quotes does not end it."""
        inner_start = self._at
        quote = ""
        is_quote_closed = False
        while True:
            character = self._next()
            if character in ("", "\n"):
                self._fail("the filter is not closed by )]", start)
            if character == ")" and bool(quote) == is_quote_closed:
                break
            if character in "\"'":
                escaped = self._text[self._at - 2] == "\\"
                is_quote_closed |= character == quote and not escaped
                quote = quote or character
        if self._next() != "]":
            self._fail("the filter's ) is not followed by ]", start)
        return self._text[inner_start : self._at - 2]

    def _fail(self, why: str, at: int) -> "NoReturn":
        raise TemplateError(
            f"the JSONPath template {self._whole!r} is malformed at character"
            f" {self._offset + at + 1}: {why}",
            _NEXT_STEP,
        )


def _int64(text: str) -> "int | None":
    """The number that digits with a sign are, if it has 64 bits; Python reads no very long one."""
    digits = text.lstrip("+-0")
    if len(digits) > _INT64_DIGITS:
        return None
    value = int(digits or 0) * (-1 if text[0] == "-" else 1)
    return value if -_INT64 <= value < _INT64 else None
