"""Reads the plain YAML that tools write, without PyYAML, whose import takes 27 ms.

kubectl, kubeadm, kind, k3s and the clouds' tools write kubeconfigs in a small part of YAML: block
mappings and sequences, scalars on one line, `{}` and `[]`. That part is read here. Of everything
else this reader says that it cannot say, and PyYAML is asked: it never guesses, so whatever it
does read, PyYAML reads to an equal document (YAML 1.1, a date staying text).
"""

from kubelag.kube.record import Record

# Words that YAML 1.1 takes for something other than text; the ones that tools write are read here.
_KNOWN = {"null": None, "~": None, "true": True, "false": False}
_TYPED = frozenset({"null", "true", "false", "yes", "no", "on", "off"})
_LONGEST_TYPED = 5
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS = "0123456789"
_KEY = _LETTERS + _DIGITS + "_-./"
_NUMBER = _DIGITS + "abcdefABCDEFxX_.:+-"
# What a scalar without quotes may begin with: no indicator, no `=` and no `<` (the merge key).
_PLAIN = frozenset(_LETTERS + _DIGITS + "_/.$~+-")
# Deeper than any kubeconfig, and far from the interpreter's own limit; arbitrary.
_DEEPEST = 64


class CannotSay(Record):
    """The text is beyond this reader, or no YAML at all."""


CANNOT_SAY = CannotSay()


def parse_plain(content: bytes) -> object:
    """The document of a plain text; `CANNOT_SAY` for any other. Never raises."""
    if not content.isascii():
        return CANNOT_SAY
    text = content.decode("ascii")
    if not text.replace("\n", "").isprintable():
        return CANNOT_SAY
    try:
        return _Reader(text).document()
    except _CannotSayError:
        return CANNOT_SAY


class _CannotSayError(Exception):
    """Leaves the reader from any depth."""


class _Reader:
    """Goes down the lines once, by recursion over their indentation."""

    def __init__(self, text: str) -> None:
        self._lines: list[tuple[int, str]] = []
        for raw in text.split("\n"):
            line = raw.lstrip(" ")
            if line and line[0] != "#":
                self._lines.append((len(raw) - len(line), line.rstrip(" ")))
        self._at = 1 if self._lines[:1] == [(0, "---")] else 0
        self._depth = 0

    def document(self) -> object:
        """The whole text."""
        if self._at == len(self._lines):
            return None
        found = self._node(0)
        if self._at < len(self._lines):
            raise _CannotSayError
        return found

    def _node(self, indent: int) -> object:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _CannotSayError
        is_sequence = _is_item(self._lines[self._at][1])
        found = self._sequence(indent) if is_sequence else self._mapping(indent)
        self._depth -= 1
        return found

    def _mapping(self, indent: int) -> dict[str, object]:
        found: dict[str, object] = {}
        while self._is_here(indent):
            pair = _split(self._lines[self._at][1])
            if pair is None or pair[0] in found:
                raise _CannotSayError
            self._at += 1
            found[pair[0]] = self._value(pair[1], indent)
        return found

    def _value(self, text: str, indent: int) -> object:
        """What stands behind a key, on its line or on the ones below."""
        if text:
            return _scalar(text)
        if self._at == len(self._lines):
            return None
        below, first = self._lines[self._at]
        # A sequence may stand at its key's own indentation.
        if below > indent or (below == indent and _is_item(first)):
            return self._node(below)
        return None

    def _sequence(self, indent: int) -> list[object]:
        found: list[object] = []
        while self._is_here(indent) and _is_item(self._lines[self._at][1]):
            found.append(self._item(indent))
        return found

    def _item(self, indent: int) -> object:
        line = self._lines[self._at][1]
        text = _without_comment(line[1:].lstrip(" "))
        if text and _split(text) is not None:
            inner = indent + len(line) - len(line[1:].lstrip(" "))
            self._lines[self._at] = (inner, text)
            return self._node(inner)
        self._at += 1
        if text:
            return _scalar(text)
        is_below = self._at < len(self._lines) and self._lines[self._at][0] > indent
        return self._node(self._lines[self._at][0]) if is_below else None

    def _is_here(self, indent: int) -> bool:
        """Whether the next line belongs to this block; one that is deeper belongs to none."""
        if self._at == len(self._lines) or self._lines[self._at][0] < indent:
            return False
        if self._lines[self._at][0] > indent:
            raise _CannotSayError
        return True


def _is_item(line: str) -> bool:
    return line == "-" or line.startswith("- ")


def _split(line: str) -> tuple[str, str] | None:
    """Key and the text behind it; None where the line is no plain key with a colon."""
    key, colon, rest = line.partition(":")
    if not colon or (rest and rest[0] != " "):
        return None
    if key[:1] not in _LETTERS or not key or key.strip(_KEY) or key.lower() in _TYPED:
        return None
    return key, _without_comment(rest.lstrip(" "))


def _without_comment(text: str) -> str:
    return "" if text.startswith("#") else text


def _scalar(text: str) -> object:
    if text == "{}":
        return {}
    if text == "[]":
        return []
    return _quoted(text) if text[0] in "\"'" else _plain(text)


def _quoted(text: str) -> str:
    """A scalar in quotes, without any escape."""
    end = text.find(text[0], 1)
    inner, rest = text[1:end], text[end + 1 :]
    has_escape = text[0] == '"' and "\\" in inner
    is_comment = rest.startswith(" ") and rest.lstrip(" ").startswith("#")
    if end < 0 or has_escape or (rest and not is_comment):
        raise _CannotSayError
    return inner


def _plain(text: str) -> object:
    text = text.partition(" #")[0].rstrip(" ")
    if text[0] not in _PLAIN or _is_item(text) or ": " in text or text[-1] == ":":
        raise _CannotSayError
    if text in _KNOWN:
        return _KNOWN[text]
    is_typed = len(text) <= _LONGEST_TYPED and text.lower() in _TYPED
    if is_typed or (text[0] in "0123456789+-." and _may_be_number(text)):
        raise _CannotSayError
    return text


def _may_be_number(text: str) -> bool:
    """Whether YAML 1.1 might take it for a number; yes in doubt."""
    if text.strip(_NUMBER):
        return text.lstrip("+-").lower() in {".inf", ".nan"}
    # Numbers have one dot at most, and a minus inside them only behind an exponent, which wants
    # the dot. Addresses and UUIDs are thereby text.
    return text.count(".") == 1 or ("." not in text and "-" not in text[1:])
