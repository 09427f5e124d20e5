"""Takes out of foreign text what could move a cursor, change a colour or hide a word.

Paths, host names and a client's last lines come from outside. Only the layout calls this, for
every word that it lets through, so that no section can forget it.
"""

import re
import unicodedata

_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f]).*?(?:\x07|\x1b\\|\x9c)"  # OSC, DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]?",  # any other escape, also an unterminated one of the above
    re.DOTALL,
)
_UNSHOWABLE = frozenset({"Cs", "Cn", "Co"})
_LINKABLE = re.compile(r"https?://[!-~]+")


def clean(text: str) -> str:
    """One line of harmless text: white space becomes a space, what cannot be shown U+FFFD."""
    if text.isprintable():
        return text
    return "".join(_harmless(char) for char in _SEQUENCES.sub("", text))


def clean_url(url: str) -> str:
    """The URL if a terminal may be given it as a link, else nothing."""
    return url if _LINKABLE.fullmatch(url) else ""


def width(text: str) -> int:
    """How many columns a terminal gives to (clean) text."""
    return len(text) if text.isascii() else sum(_columns(char) for char in text)


def _harmless(char: str) -> str:
    if char.isprintable():
        return char
    if char.isspace():
        return " "
    return "\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) in _UNSHOWABLE else ""


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
