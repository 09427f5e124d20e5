"""Tells where a body that a client printed into its debug log ends. Pure.

Clients up to 1.32 log bodies as they are, newlines and all, so that the lines below look like
anything else on standard error. JSON ends where its brackets close; other text at kubectl's own
next words, since nothing else marks its end.
"""

import re

_BEGINNING = re.compile(r"(?:Response Body|Request Body|server response object): ?(?:%s)?")
_CUT = re.compile(r"\[truncated \d+ chars\]\s*$")
_OWN_WORDS = re.compile(
    r"(?:error|Error|Warning|Unable to|The connection to|No resources|Please)\b"
)


class Body:
    """A body under way; `take` its lines until it `is_done`."""

    def __init__(self, first_line: str) -> None:
        self.is_done = not first_line.strip()
        self._is_json = first_line.lstrip()[:1] in {"{", "["}
        self._depth = 0
        self._follow(first_line)

    def take(self, line: str) -> bool:
        """Whether this line belongs to the body; where it does not, the body is over."""
        if not self._is_json and _OWN_WORDS.match(line):
            self.is_done = True
            return False
        self._follow(line)
        return True

    def _follow(self, line: str) -> None:
        if self._is_json:
            self._depth += _depth(line)
            self.is_done = self.is_done or self._depth <= 0
        self.is_done = self.is_done or _CUT.search(line[-64:]) is not None


def body_in(message: str) -> Body | None:
    """The body that a log message begins, None where it begins none."""
    found = _BEGINNING.match(message)
    return Body(message[found.end() :]) if found else None


def _depth(line: str) -> int:
    """Brackets opened less brackets closed; JSON texts never span lines."""
    depth = 0
    is_text = is_escaped = False
    for char in line:
        if is_escaped:
            is_escaped = False
        elif is_text:
            is_escaped = char == "\\"
            is_text = char != '"'
        elif char == '"':
            is_text = True
        else:
            depth += (char in "{[") - (char in "}]")
    return depth
