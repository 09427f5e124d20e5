"""What a JSONPath template prints of an object, as `kubectl get -o jsonpath=…`.

Source: `k8s.io/client-go/util/jsonpath/jsonpath.go` of 1.33, its quirks included: a `range`
without `end` runs the rest of the template once more, and a filter that asks whether `@.a[5]`
exists says yes where the list is too short. Where Go's order of map keys is random, they are
sorted here.
"""

from kubelag.kube.printing.errors import TemplateError
from kubelag.kube.printing.go_json import compact, print_json
from kubelag.kube.printing.jsonpath_parser import (
    Field,
    Filter,
    Keyword,
    Literal,
    Recursive,
    Slice,
    Union,
    Wildcard,
    parse_template,
)
from kubelag.kube.printing.values import in_text, is_int64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kubelag.kube.printing.jsonpath_parser import Action, Node
    from kubelag.kube.printing.values import Json, JsonObject

_NEXT_STEP = "look at the object with `-o json`"
_UNCOMPARABLE = "incompatible types for comparison"
_NOTHING: "JsonObject" = {}
"""Stands for a null that a range goes over, which `@` then prints as `<no value>`."""


class Template:
    """A template that can be applied to many objects.

    Raises:
        TemplateError: If it is malformed, with the place.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._actions = parse_template(text)

    def render(self, value: "Json", *, as_json: bool = False) -> str:
        """What it prints; no newline is added.

        Args:
            value: The object, or a list of objects (`as_list`).
            as_json: As `-o jsonpath-as-json` does: an indented JSON list for each action.

        Raises:
            TemplateError: If it does not fit the object, such as an index beyond a list's end.
                What is missing prints nothing.
        """
        try:
            results = _Run(self._actions).results(0, value)
        except TemplateError as error:
            raise TemplateError(
                f"the JSONPath template {self._text!r} does not fit the object: {error.message}",
                _NEXT_STEP,
            ) from error
        except RecursionError as error:
            raise TemplateError("the object or the template is nested too deeply") from error
        if as_json:
            return "".join(map(print_json, results))
        return "".join(" ".join(map(_printed, nodes)) for nodes in results)


def _printed(value: "Json") -> str:
    if value is _NOTHING:
        return "<no value>"
    if value is None or isinstance(value, dict | list):
        return compact(value)
    return in_text(value)


class _Run:
    """One pass through a template. Ranges call the same pass for every item."""

    def __init__(self, actions: "Sequence[Action]") -> None:
        self._actions = actions
        self._begun = 0
        self._open = 0
        self._ended = 0
        self._last_end = -1
        """Which action was the last `end` that closed a range."""

    def results(self, first: int, value: "Json") -> "list[list[Json]]":
        """What the actions give from that one on, up to the `end` of the range that it is in."""
        found: list[list[Json]] = []
        at = first
        while at < len(self._actions):
            nodes = self._walk([value], self._actions[at])
            if 0 < self._ended <= self._open:
                self._ended -= 1
                self._last_end = at
                break
            if self._begun:
                self._begun -= 1
                found += self._range(at + 1, nodes)
                at = max(at, self._last_end)
            else:
                found.append(nodes)
            at += 1
        return found

    def _range(self, first: int, nodes: "list[Json]") -> "list[list[Json]]":
        self._open += 1
        found: list[list[Json]] = []
        for node in nodes:
            found += self.results(first, _NOTHING if node is None else node)
        if not nodes:
            # Only to find the range's end.
            self.results(first, None)
        self._open -= 1
        return found

    def _walk(self, values: "list[Json]", action: "Action") -> "list[Json]":
        for node in action:
            values = self._step(values, node)
        return values

    def _step(self, values: "list[Json]", node: "Node") -> "list[Json]":
        match node:
            case Literal(value=value, is_text=is_text):
                return [value] if is_text else [value] * len(values)
            case Field(name=name):
                return [one[name] for one in values if isinstance(one, dict) and name in one]
            case Wildcard():
                return [child for one in values for child in _children(one)]
            case Recursive():
                return [below for one in values for below in _descendants(one)]
            case Slice():
                return _sliced(values, node)
            case Union(paths=paths):
                return self._united(values, paths)
            case Filter():
                return self._filtered(values, node)
            case Keyword():
                return self._keyword(values, node)

    def _keyword(self, values: "list[Json]", node: Keyword) -> "list[Json]":
        if node.name == "range":
            self._begun += 1
            return values
        if node.name != "end":
            raise _failed(f"{node.name!r} at character {node.at} is no keyword", values)
        if not self._open:
            raise _failed(f"the end at character {node.at} has no range", [])
        self._ended += 1
        return []

    def _united(self, values: "list[Json]", paths: "tuple[Action, ...]") -> "list[Json]":
        try:
            return [one for path in paths for one in self._walk(values, path)]
        except TemplateError as error:
            raise _failed(error.message, values) from error

    def _filtered(self, values: "list[Json]", node: Filter) -> "list[Json]":
        found: list[Json] = []
        for value in values:
            if not isinstance(value, list):
                raise _failed(f"a filter needs a list, and {_kind(value)} is none", values)
            found += [item for item in value if self._passes(item, node, values)]
        return found

    def _passes(self, item: "Json", node: Filter, values: "list[Json]") -> bool:
        if node.operator == "exists":
            return self._exists(item, node)
        try:
            lefts = self._walk([item], node.left)
            rights = self._walk([item], node.right) if len(lefts) == 1 else []
        except TemplateError as error:
            raise _failed(error.message, values) from error
        if len(lefts) > 1 or len(rights) > 1:
            raise _failed("a filter can compare only one element at a time", values)
        return bool(lefts and rights) and _compare(lefts[0], node.operator, rights[0])

    def _exists(self, item: "Json", node: Filter) -> bool:
        try:
            return bool(self._walk([item], node.left))
        except TemplateError as error:
            return bool(error.so_far)


def _failed(message: str, values: "list[Json]") -> TemplateError:
    return TemplateError(message, so_far=tuple(values))


def _children(value: "Json") -> "list[Json]":
    """Values of a map, items of a list; of a string its bytes, as Go's reflection has it."""
    match value:
        case dict():
            return [value[key] for key in sorted(value)]
        case list():
            return value
        case str():
            return list(value.encode(errors="replace"))
        case _:
            return []


def _descendants(value: "Json") -> "list[Json]":
    """The value and all below it that is not empty and no number or boolean."""
    if isinstance(value, str):
        return [value] if value else []
    children = _children(value)
    below = [one for child in children for one in _descendants(child)]
    return [value, *below] if children else []


def _sliced(values: "list[Json]", node: Slice) -> "list[Json]":
    found: list[Json] = []
    for value in values:
        if value is None:
            continue
        if not isinstance(value, list):
            raise _failed(f"an index needs a list, and {_kind(value)} is none", values)
        start, stop = _bounds(node, len(value))
        if start == stop:
            return found
        _check_bounds(start, stop, len(value), values)
        if node.step is not None and node.step <= 0:
            raise _failed("the step of a slice must be greater than 0", values)
        found += value[start : stop : node.step]
    return found


def _bounds(node: Slice, length: int) -> tuple[int, int]:
    start = node.start or 0
    if start < 0:
        start += length
    stop = length if node.stop is None else node.stop
    if stop < 0 or (stop == 0 and node.is_single):
        stop += length
    return start, stop


def _check_bounds(start: int, stop: int, length: int, values: "list[Json]") -> None:
    for index, is_within in ((start, 0 <= start < length), (stop - 1, 0 <= stop <= length)):
        if not is_within:
            raise _failed(f"index {index} is beyond the {length} items of the list", values)
    if start > stop:
        raise _failed(f"a slice cannot start at {start} and end at {stop}", values)


def _compare(left: "Json", operator: str, right: "Json") -> bool:
    """Compare two values of the same type; booleans only for equality."""
    kinds = _comparable_kind(left), _comparable_kind(right)
    if operator not in _OPERATORS:
        raise _failed(f"a filter has no operator {operator}", [])
    if "" in kinds or kinds[0] != kinds[1]:
        raise _failed(f"{_UNCOMPARABLE}: {_kind(left)} {operator} {_kind(right)}", [])
    if kinds[0] == "a boolean" and operator not in ("==", "!="):
        raise _failed(f"booleans cannot be compared by {operator}", [])
    return _OPERATORS[operator](left, right)


_OPERATORS: "dict[str, Callable[..., bool]]" = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


def _comparable_kind(value: "Json") -> str:
    return "" if value is None or isinstance(value, dict | list) else _kind(value)


def _kind(value: "Json") -> str:
    """In words, as errors name it; integers and floats are different types for a filter."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case dict():
            return "an object"
        case list():
            return "a list"
        case _:
            return "an integer" if is_int64(value) else "a float"
