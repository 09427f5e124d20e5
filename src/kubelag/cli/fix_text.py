"""What `kubelag fix` prints: plans as a list of + - ~ lines, statuses as one sentence."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TextIO

from kubelag.model.remedy import Change, Plan, Status

Painter = Callable[[str, str], str]
"""Gives a text a colour by name, or leaves it."""

_CODES = {"green": "32", "red": "31", "yellow": "33", "dim": "2", "bold": "1"}
_COLOURS = {"applied": "green", "not_applied": "dim", "broken": "red", "interrupted": "yellow"}
_SIGN_COLOURS = {"+": "green", "-": "red", "~": "yellow"}


def painter(stream: TextIO, env: Mapping[str, str]) -> Painter:
    """Colours on a terminal, unless NO_COLOR (no-color.org) or a dumb one says otherwise."""
    if not stream.isatty() or env.get("NO_COLOR") or env.get("TERM") == "dumb":
        return lambda text, _colour: text
    return lambda text, colour: f"\x1b[{_CODES[colour]}m{text}\x1b[0m"


def as_json(what: "Plan | Status | Sequence[Status]") -> str:
    """The dataclass as it is."""
    found = asdict(what) if isinstance(what, Plan | Status) else [asdict(one) for one in what]
    return json.dumps(found, indent=2, ensure_ascii=False)


def listing(found: Sequence[tuple[Status, str]], paint: Painter) -> str:
    """Every remedy with its standing."""
    width = max(len(status.remedy) for status, _ in found)
    lines = []
    for one, summary in found:
        state = paint(f"{_words(one.state):12}", _COLOURS[one.state])
        lines += [f"{one.remedy:{width}}  {state}  {summary}".rstrip()]
        lines += [paint(f"{'':{width}}  {one.detail}", "dim")]
        lines += [f"{'':{width}}  next: {one.next_step}"] if one.next_step else []
    return "\n".join(lines)


def status(one: Status, paint: Painter) -> str:
    """How one remedy stands."""
    lines = [f"{one.remedy}: {paint(_words(one.state), _COLOURS[one.state])}; {one.detail}"]
    if one.next_step:
        lines.append(f"next: {one.next_step}")
    return "\n".join(lines)


def plan(one: Plan, apply_command: str, paint: Painter) -> str:
    """Everything that would change, and what to type next."""
    lines = [f"{paint(one.remedy, 'bold')}: {one.summary}"]
    lines += [line for change in one.changes for line in _change(change, paint)]
    lines += [f"  $ {command}" for command in one.commands]
    lines += [f"{paint('!', 'yellow')} {warning}" for warning in one.warnings]
    lines.append(_last_line(one, apply_command))
    return "\n".join(lines)


def _last_line(one: Plan, apply_command: str) -> str:
    if one.obstacle:
        step = f"; {one.next_step}" if one.next_step else ""
        return f"Nothing can be changed: {one.obstacle}{step}"
    if one.already_applied:
        return "There is nothing to do."
    if one.commands:
        return "kubelag changes nothing here; these are yours to type."
    if one.next_step:
        return f"Nothing was changed. Next: {one.next_step}"
    return f"Nothing was changed. To do it: {apply_command}"


def _change(change: Change, paint: Painter) -> list[str]:
    sign = "+" if change.before == "nothing" else "-" if change.after == "nothing" else "~"
    first, *more = change.after.rstrip("\n").split("\n")
    if more:
        first, more = f"a {change.what}:", [first, *more]
    was = f" (was {change.before})" if sign == "~" else ""
    return [
        f"  {paint(sign, _SIGN_COLOURS[sign])} {change.path}",
        f"      {first}{was}",
        *(paint(f"      | {line}", "dim") for line in more),
    ]


def _words(state: str) -> str:
    return state.replace("_", " ")
