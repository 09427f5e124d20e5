"""`json.loads` by its C scanner alone; the module around it loads `re` to skip white space."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_SPACE = " \t\n\r"


class _Context:
    """What `json.JSONDecoder` is to its scanner."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    memo: "dict[str, str]" = {}  # noqa: RUF012 - the scanner clears it itself

    @staticmethod
    def parse_constant(name: str) -> float:
        """NaN and the infinities, which are no JSON."""
        raise ValueError(f"{name} is no JSON")


def loads(data: "bytes | str") -> "Any":  # noqa: ANN401 - as json.loads
    """The value of a JSON text in UTF-8.

    Raises:
        ValueError: If it is none.
        RecursionError: If it is nested too deeply.
    """
    text = data if isinstance(data, str) else data.decode()
    begin = len(text) - len(text.lstrip(_SPACE))
    try:
        value, end = _scan(text, begin)
    except StopIteration as error:
        raise ValueError("it is no JSON") from error
    if text[end:].strip(_SPACE):
        raise ValueError("something follows the JSON value")
    return value


def _scanner() -> "Callable[[str, int], tuple[Any, int]]":
    try:
        from _json import make_scanner  # noqa: PLC0415 -- as the rest of this file

        scan: Callable[[str, int], tuple[Any, int]] = make_scanner(_Context())  # type: ignore[arg-type]  # it looks at attributes only
    except (ImportError, AttributeError, TypeError):  # another Python
        from json import JSONDecoder  # noqa: PLC0415 -- only there

        scan = JSONDecoder(parse_constant=_Context.parse_constant).raw_decode
    return scan


_scan = _scanner()
