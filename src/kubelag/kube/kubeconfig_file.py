"""Reads one kubeconfig file: YAML to checked entries, with errors that name file, key and line."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubelag.errors import KubeconfigError

Entry = Mapping[str, Any]
"""One cluster, user or context as the file has it, relative paths made absolute."""

# The fields that name files; client-go's `GetClusterFileReferences`, `GetAuthInfoFileReferences`.
_CLUSTER_PATHS = ("certificate-authority",)
_USER_PATHS = ("client-certificate", "client-key", "tokenFile")
_TEXTS = {
    "clusters": ("server", "proxy-url", "tls-server-name", "certificate-authority-data"),
    "users": ("token", "username", "password", "client-certificate-data", "client-key-data"),
    "contexts": ("cluster", "user", "namespace"),
}
_EXEC_TEXTS = ("command", "apiVersion", "interactiveMode", "installHint")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFile:
    """One file's entries, or several files' merged."""

    clusters: Mapping[str, Entry] = field(default_factory=dict)
    users: Mapping[str, Entry] = field(default_factory=dict, repr=False)
    contexts: Mapping[str, Entry] = field(default_factory=dict)
    current_context: str = ""


def read_config_file(path: str) -> ConfigFile:
    """Read and check one file.

    Args:
        path: The file; relative names in it are taken from its own directory, as kubectl does.

    Raises:
        FileNotFoundError: If there is no such file, which only the caller can judge.
        KubeconfigError: If it cannot be read, is no YAML, or has a value of a wrong type.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise KubeconfigError(
            f"kubeconfig {path} cannot be read: {(error.strerror or str(error)).lower()}",
            "check its path and mode, or point KUBECONFIG at another file",
        ) from error
    return _checked(_parse(content, path), path)


def _parse(content: bytes, path: str) -> object:
    import yaml  # noqa: PLC0415 -- costs 27 ms, and many commands never need it

    base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    # A date stays text, as it does for kubectl.
    resolvers = {
        first: [rule for rule in rules if rule[0] != "tag:yaml.org,2002:timestamp"]
        for first, rules in base.yaml_implicit_resolvers.items()
    }
    loader = type("KubeconfigLoader", (base,), {"yaml_implicit_resolvers": resolvers})
    try:
        return yaml.load(content, Loader=loader)  # noqa: S506 -- a safe loader, less one resolver
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise KubeconfigError(
            f"kubeconfig {path} is not valid YAML{where}",
            "correct it there, or restore it from a copy",
        ) from error


def _checked(document: object, path: str) -> ConfigFile:
    if document is None:
        return ConfigFile()
    if not isinstance(document, dict):
        raise _wrong_type(path, "the whole file", "a mapping", document)
    kind = document.get("kind")
    if kind not in {None, "", "Config"}:
        raise KubeconfigError(
            f"kubeconfig {path} holds a {str(kind)[:40]!r} and not a Config",
            "point KUBECONFIG or --kubeconfig at a kubeconfig",
        )
    directory = os.path.dirname(os.path.abspath(path))  # noqa: PTH100,PTH120 -- Path.resolve would follow links, kubectl does not
    return ConfigFile(
        clusters=_named(document, "clusters", "cluster", path, directory),
        users=_named(document, "users", "user", path, directory),
        contexts=_named(document, "contexts", "context", path, directory),
        current_context=_text(document, "current-context", path, "current-context"),
    )


def _named(
    document: Mapping[str, object], section: str, inner: str, path: str, directory: str
) -> dict[str, Entry]:
    """The section's entries by name: `clusters: [{name: a, cluster: {…}}]`."""
    found: dict[str, Entry] = {}
    for place, item in _items(document, section, path):
        name = _text(item, "name", path, f"{place}.name")
        entry = item.get(inner)
        if entry is None:
            entry = {}
        if not isinstance(entry, dict):
            raise _wrong_type(path, f"{place}.{inner}", "a mapping", entry)
        if name in found:
            raise KubeconfigError(
                f"kubeconfig {path} has two {section} named {name!r}", "remove or rename one"
            )
        for key in _TEXTS[section]:
            _text(entry, key, path, f"{place}.{inner}.{key}")
        found[name] = _with_absolute_paths(entry, section, path, place, directory)
    return found


def _items(
    document: Mapping[str, object], section: str, path: str
) -> Iterator[tuple[str, Mapping[str, object]]]:
    items = document.get(section)
    if items is None:
        return
    if not isinstance(items, list):
        raise _wrong_type(path, section, "a list", items)
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise _wrong_type(path, f"{section}[{index}]", "a mapping", item)
        yield f"{section}[{index}]", item


def _with_absolute_paths(
    entry: Entry, section: str, path: str, place: str, directory: str
) -> Entry:
    changed = dict(entry)
    names = {"clusters": _CLUSTER_PATHS, "users": _USER_PATHS}.get(section, ())
    for key in names:
        value = _text(entry, key, path, f"{place}.{key}")
        if value:
            changed[key] = os.path.join(directory, value)  # noqa: PTH118 -- kept as text
    if section == "users" and entry.get("exec") is not None:
        changed["exec"] = _checked_exec(entry["exec"], path, f"{place}.user.exec", directory)
    return changed


def _checked_exec(value: object, path: str, place: str, directory: str) -> Entry:
    if not isinstance(value, dict):
        raise _wrong_type(path, place, "a mapping", value)
    for key in _EXEC_TEXTS:
        _text(value, key, path, f"{place}.{key}")
    args = value.get("args") or []
    if not isinstance(args, list) or not all(isinstance(arg, str) for arg in args):
        raise _wrong_type(path, f"{place}.args", "a list of texts", args)
    env = value.get("env") or []
    if not isinstance(env, list) or not all(_is_pair(pair) for pair in env):
        raise _wrong_type(path, f"{place}.env", "a list of name and value", env)
    command = _text(value, "command", path, f"{place}.command")
    if not command:
        raise KubeconfigError(f"kubeconfig {path} names no program in {place}.command", "name one")
    # A bare name is found on PATH, anything with a slash is a file.
    absolute = os.path.join(directory, command) if "/" in command else command  # noqa: PTH118 -- kept as text
    return {**value, "command": absolute, "args": args, "env": env}


def _is_pair(pair: object) -> bool:
    return (
        isinstance(pair, dict)
        and isinstance(pair.get("name"), str)
        and isinstance(pair.get("value", ""), str)
    )


def _text(entry: Mapping[str, object], key: str, path: str, place: str) -> str:
    value = entry.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _wrong_type(path, place, "a text (quote it)", value)
    return value


def _wrong_type(path: str, place: str, wanted: str, value: object) -> KubeconfigError:
    # The value itself may be a secret, so only its type is told.
    kinds = {"dict": "a mapping", "list": "a list", "bool": "true or false", "NoneType": "nothing"}
    kind = kinds.get(type(value).__name__, "a number" if type(value) in {int, float} else "a text")
    return KubeconfigError(
        f"kubeconfig {path}: {place} must be {wanted} and is {kind}", "correct it there"
    )
