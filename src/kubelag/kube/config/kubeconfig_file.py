"""Reads one kubeconfig file: text to checked entries, with errors that name file, key and line.

kubectl reads JSON as well as YAML. What tools write is read without PyYAML, whose import costs
more than the rest of a command; whatever goes beyond that is left to PyYAML.
"""

import os

from kubelag.errors import KubeconfigError
from kubelag.kube.config.plain_yaml import CANNOT_SAY, parse_plain
from kubelag.kube.record import Record, hidden

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    Entry = Mapping[str, Any]
    """One cluster, user or context as the file has it, relative paths made absolute."""

    Place = tuple[str | int, ...]
    """The keys and indices that lead to a value."""

LARGEST_BYTES = 16 * 1024 * 1024
"""A hundred times what a kubeconfig of a thousand clusters takes without certificates; arbitrary,
and keeps a device file from filling the memory."""

# The fields that name files; client-go's `GetClusterFileReferences`, `GetAuthInfoFileReferences`.
_PATHS = {
    "clusters": ("certificate-authority",),
    "users": ("client-certificate", "client-key", "tokenFile"),
    "contexts": (),
}
_TEXTS = {
    "clusters": ("server", "proxy-url", "tls-server-name", "certificate-authority-data"),
    "users": (
        *("token", "username", "password", "client-certificate-data", "client-key-data"),
        *("as", "as-uid"),
    ),
    "contexts": ("cluster", "user", "namespace"),
}
_SWITCHES = {
    "clusters": ("insecure-skip-tls-verify", "disable-compression"),
    "users": (),
    "contexts": (),
}
_EXEC_TEXTS = ("command", "apiVersion", "interactiveMode", "installHint")
_NO_ENTRIES: "dict[str, Entry]" = {}


class ConfigFile(Record):
    """One file's entries, or several files' merged."""

    clusters: "Mapping[str, Entry]" = _NO_ENTRIES
    users: "Mapping[str, Entry]" = hidden(default=_NO_ENTRIES)
    contexts: "Mapping[str, Entry]" = _NO_ENTRIES
    current_context: str = ""


class _MisfitError(Exception):
    """A value is not what it must be; the file, its line and the next step are told later."""

    def __init__(self, place: "Place", wrong: str, next_step: str = "correct it there") -> None:
        super().__init__(wrong)
        self.place, self.wrong, self.next_step = place, wrong, next_step


def read_config_file(path: str) -> ConfigFile:
    """Read and check one file.

    Args:
        path: The file; relative names in it are taken from its own directory, as kubectl does.

    Raises:
        FileNotFoundError: If there is no such file, which only the caller can judge.
        KubeconfigError: If it cannot be read, is no YAML, or has a value of a wrong type.
    """
    content = _read(path)
    document = _parse(content, path)
    directory = os.path.dirname(os.path.abspath(path))  # noqa: PTH100,PTH120 -- Path.resolve would follow links, kubectl does not
    try:
        return _checked(document, directory)
    except _MisfitError as error:
        from kubelag.kube.config.kubeconfig_yaml import line_of  # noqa: PLC0415 -- imports PyYAML

        line = line_of(content, error.place)
        where = f" (line {line})" if line else ""
        raise KubeconfigError(f"kubeconfig {path}{where}: {error}", error.next_step) from None


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 -- the path is text throughout
            content = file.read(LARGEST_BYTES + 1)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise KubeconfigError(
            f"kubeconfig {path} cannot be read: {why.lower()}",
            "check its path and mode, or point KUBECONFIG at another file",
        ) from error
    if len(content) > LARGEST_BYTES:
        raise KubeconfigError(
            f"kubeconfig {path} is larger than {LARGEST_BYTES >> 20} MiB",
            "point KUBECONFIG or --kubeconfig at a kubeconfig",
        )
    return content


def _parse(content: bytes, path: str) -> object:
    if content.lstrip()[:1] == b"{":
        try:
            return _json(content)
        except (ValueError, RecursionError):
            pass  # a mapping in YAML's flow style begins so too
    document = parse_plain(content)
    if document is not CANNOT_SAY:
        return document
    from kubelag.kube.config.kubeconfig_yaml import parse_yaml  # noqa: PLC0415 -- imports PyYAML

    return parse_yaml(content, path)


def _json(content: bytes) -> object:
    import json  # noqa: PLC0415 -- 2 ms, and few kubeconfigs are JSON

    return json.loads(content.decode())


def _checked(document: object, directory: str) -> ConfigFile:
    if document is None:
        return ConfigFile()
    if not isinstance(document, dict):
        raise _wrong_type((), "a mapping", document)
    kind = document.get("kind")
    if kind not in (None, "", "Config"):  # a tuple, since it may be unhashable
        raise _MisfitError(
            ("kind",),
            f"it holds a {str(kind)[:40]!r} and not a Config",
            "point KUBECONFIG or --kubeconfig at a kubeconfig",
        )
    return ConfigFile(
        clusters=_named(document, "clusters", "cluster", directory),
        users=_named(document, "users", "user", directory),
        contexts=_named(document, "contexts", "context", directory),
        current_context=_text(document, "current-context", ()),
    )


def _named(
    document: "Mapping[str, object]", section: str, inner: str, directory: str
) -> "dict[str, Entry]":
    """The section's entries by name: `clusters: [{name: a, cluster: {…}}]`."""
    found: dict[str, Entry] = {}
    for place, item in _items(document, section):
        name = _text(item, "name", place)
        entry = item.get(inner)
        if entry is None:
            entry = {}
        if not isinstance(entry, dict):
            raise _wrong_type((*place, inner), "a mapping", entry)
        if name in found:
            raise _MisfitError(
                place, f"it has two {section} named {name!r}", "remove or rename one"
            )
        _check_entry(entry, section, (*place, inner))
        found[name] = _with_absolute_paths(entry, section, (*place, inner), directory)
    return found


def _items(
    document: "Mapping[str, object]", section: str
) -> "Iterator[tuple[Place, Mapping[str, object]]]":
    items = document.get(section)
    if items is None:
        return
    if not isinstance(items, list):
        raise _wrong_type((section,), "a list", items)
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise _wrong_type((section, index), "a mapping", item)
        yield (section, index), item


def _check_entry(entry: "Entry", section: str, place: "Place") -> None:
    for key in (*_TEXTS[section], *_PATHS[section]):
        _text(entry, key, place)
    for key in _SWITCHES[section]:
        _switch(entry, key, place)
    if section == "users":
        _texts(entry, "as-groups", place)
        _check_extra(entry.get("as-user-extra"), (*place, "as-user-extra"))
        if not isinstance(entry.get("auth-provider") or {}, dict):
            raise _wrong_type((*place, "auth-provider"), "a mapping", entry["auth-provider"])


def _check_extra(extra: object, place: "Place") -> None:
    if extra is None:
        return
    if not isinstance(extra, dict):
        raise _wrong_type(place, "a mapping", extra)
    for key in extra:
        if not isinstance(key, str):
            raise _wrong_type(place, "a mapping of texts", key)
        _texts(extra, key, place)


def _with_absolute_paths(entry: "Entry", section: str, place: "Place", directory: str) -> "Entry":
    changed = dict(entry)
    for key in _PATHS[section]:
        if entry.get(key):
            changed[key] = os.path.join(directory, entry[key])  # noqa: PTH118 -- kept as text
    if section == "users" and entry.get("exec") is not None:
        changed["exec"] = _checked_exec(entry["exec"], (*place, "exec"), directory)
    return changed


def _checked_exec(value: object, place: "Place", directory: str) -> "Entry":
    if not isinstance(value, dict):
        raise _wrong_type(place, "a mapping", value)
    for key in _EXEC_TEXTS:
        _text(value, key, place)
    _switch(value, "provideClusterInfo", place)
    args = _texts(value, "args", place)
    env = value.get("env") or []
    if not isinstance(env, list) or not all(_is_pair(pair) for pair in env):
        raise _wrong_type((*place, "env"), "a list of name and value", env)
    command = value.get("command")
    if not command:
        raise _MisfitError(place, f"it names no program in {_spelled((*place, 'command'))}")
    # A bare name is found on PATH, anything with a slash is a file.
    absolute = os.path.join(directory, command) if "/" in command else command  # noqa: PTH118 -- kept as text
    return {**value, "command": absolute, "args": args, "env": env}


def _is_pair(pair: object) -> bool:
    return (
        isinstance(pair, dict)
        and isinstance(pair.get("name"), str)
        and isinstance(pair.get("value") or "", str)
    )


def _text(entry: "Mapping[str, object]", key: str, place: "Place") -> str:
    value = entry.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _wrong_type((*place, key), "a text (quote it)", value)
    return value


def _texts(entry: "Mapping[str, object]", key: str, place: "Place") -> list[str]:
    values = entry.get(key) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise _wrong_type((*place, key), "a list of texts", values)
    return values


def _switch(entry: "Mapping[str, object]", key: str, place: "Place") -> None:
    value = entry.get(key)
    if value is not None and not isinstance(value, bool):
        raise _wrong_type((*place, key), "true or false", value)


def _wrong_type(place: "Place", wanted: str, value: object) -> _MisfitError:
    # The value itself may be a secret, so only its type is told.
    kinds = {"dict": "a mapping", "list": "a list", "bool": "true or false", "NoneType": "nothing"}
    kind = kinds.get(type(value).__name__, "a number" if type(value) in {int, float} else "a text")
    return _MisfitError(place, f"{_spelled(place)} must be {wanted} and is {kind}")


def _spelled(place: "Place") -> str:
    """`users[0].user.token`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return text.removeprefix(".") or "the whole file"
