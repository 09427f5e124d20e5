"""One string in YAML: plain, quoted or as a literal block, folded after column 80.

Source: `sigs.k8s.io/yaml/goyaml.v2/emitterc.go` (`yaml_emitter_analyze_scalar`,
`yaml_emitter_select_scalar_style` and the writers), whose every rule shows in the output.
"""

import re

from kubelag.kube.printing.yaml_plain import is_plain_string

_WIDTH = 80
"""A line is folded at the first space behind it."""

_SIMPLE = re.compile(r"[A-Za-z_/(][A-Za-z0-9_/().+=@$%^;~-]*")
"""Nothing in it needs a closer look (but the words that are no strings)."""
BREAKS = ("\n", "\u2028", "\u2029")
"""After one of them the source believes that it is on a new line. A string with one of the other
breaks (a carriage return, U+0085) is always escaped."""
_PRINTABLE_BREAK = re.compile("[\n\u2028\u2029]")
_UNPRINTABLE = re.compile("[^\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]")
"""Everything beyond the basic plane too, so that emoji are escaped; and tabs."""
_SPACE_BEFORE_BREAK = re.compile(" [\n\u2028\u2029]")
_SPACE_AFTER_BREAK = re.compile("[\n\u2028\u2029] ")
_INDICATOR = re.compile(r"""[#,\[\]{}&*!|>'"%@`]|[?:-](?: |$)|---|\.\.\.""")
"""At the beginning."""
_INNER_INDICATOR = re.compile(r".:(?: |$)| #")
_ESCAPED = re.compile('[^\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]|[\n"\\\\\u2028\u2029]')
_BOM = "\ufeff"
_ESCAPES = {
    "\0": "\\0", "\a": "\\a", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\v": "\\v", "\f": "\\f",
    "\r": "\\r", "\x1b": "\\e", '"': '\\"', "\\": "\\\\", "\x85": "\\N", "\xa0": "\\_",
    "\u2028": "\\L", "\u2029": "\\P",
}  # fmt: skip


def is_multiline(text: str) -> bool:
    """Whether it has a line break of any kind."""
    return any(character in text for character in (*BREAKS, "\r", "\x85"))


def scalar(text: str, indent: int, column: int) -> str:
    """A value, from its first character on.

    Args:
        text: What it says.
        indent: Of its further lines.
        column: Where its first character stands.
    """
    if "\n" in text and _may_be_block(text):
        return _literal(text, indent)
    written = flow_scalar(text, is_key=False)
    if column + len(written) <= _WIDTH and "\u2028" not in written and "\u2029" not in written:
        return written
    return _fold(written, indent, column)


def flow_scalar(text: str, *, is_key: bool = True) -> str:
    """A string plain or in quotes, not folded."""
    is_plain = is_plain_string(text) and (is_key or "\n" not in text)
    if is_plain and _SIMPLE.fullmatch(text):
        return text
    if not is_plain or "\n" in text or not _may_be_single_quoted(text):
        return f'"{_escaped(text)}"'
    if _must_be_quoted(text):
        return "'" + text.replace("'", "''") + "'"
    return text


def _must_be_quoted(text: str) -> bool:
    return bool(
        text[0] == " "
        or text[-1] == " "
        or is_multiline(text)
        or _INDICATOR.match(text)
        or _INNER_INDICATOR.search(text)
    )


def _may_be_single_quoted(text: str) -> bool:
    return not (
        _UNPRINTABLE.search(text)
        or _SPACE_BEFORE_BREAK.search(text)
        or _SPACE_AFTER_BREAK.search(text)
    )


def _may_be_block(text: str) -> bool:
    return not (text[-1] == " " or _UNPRINTABLE.search(text) or _SPACE_BEFORE_BREAK.search(text))


def _escaped(text: str) -> str:
    """Where the first character is a byte order mark, the source takes all of them for one."""
    if text.startswith(_BOM):
        return re.sub("(?s:.)", _escape, text)
    return _ESCAPED.sub(_escape, text)


def _escape(found: "re.Match[str]") -> str:
    character = found[0]
    if character in _ESCAPES:
        return _ESCAPES[character]
    code = 0xFFFD if "\ud800" <= character <= "\udfff" else ord(character)
    if code <= 0xFF:  # noqa: PLR2004
        return f"\\x{code:02X}"
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"  # noqa: PLR2004


def _literal(text: str, indent: int) -> str:
    """A block of `|`, ending with a newline where the text does."""
    hint = "2" if text[0] in " \n\u2028\u2029" else ""
    if not _PRINTABLE_BREAK.match(text[-1]):
        chomping = "-"
    else:
        chomping = "+" if len(text) == 1 or _PRINTABLE_BREAK.match(text[-2]) else ""
    margin = " " * indent
    pieces = re.split("([\n\u2028\u2029])", text)
    lines = (margin + piece if piece and at % 2 == 0 else piece for at, piece in enumerate(pieces))
    return f"|{hint}{chomping}\n{''.join(lines)}"


def _fold(written: str, indent: int, column: int) -> str:
    """Break lines at single spaces behind column 80 (double quotes: at any first space)."""
    newline = "\n" + " " * indent
    is_double, is_quoted = written[0] == '"', written[0] in "\"'"
    first, last = (1, len(written) - 2) if is_quoted else (-1, len(written))
    folded: list[str] = []
    was_space = was_break = False
    for at, character in enumerate(written):
        if character == " ":
            is_single = written[at + 1 : at + 2] != " "
            can_break = column > _WIDTH and not was_space and first < at < last
            if can_break and (is_single or is_double):
                folded.append(newline if is_single else newline + "\\")
                column = indent + (not is_single)
            else:
                folded.append(character)
                column += 1
            was_space = True
            continue
        if character in "\u2028\u2029":
            folded.append(character)
            column, was_break = 0, True
            continue
        if was_break and at <= last:
            folded.append(" " * indent)
            column = indent
        folded.append(character)
        column += 1
        was_space = was_break = False
    return "".join(folded)
