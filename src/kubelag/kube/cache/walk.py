"""Finds what belongs to a cache, by name and place, and nothing else.

Follows no link but those of the root, of `discovery` and of `http`: a remedy of ours makes them.
"""

import errno
import re
import stat

from kubelag.kube.cache.directory import Directory, open_host, open_root
from kubelag.kube.cache.layout import (
    DISCOVERY,
    HTTP,
    HTTP_TEMPORARY,
    LOCK,
    PACK,
    SERVER_GROUPS,
    SERVER_RESOURCES,
    UNKNOWN,
)
from kubelag.kube.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator
    from typing import Literal

    Kind = Literal[
        "groups",
        "resources",
        "pack",
        "unknown",
        "lock",
        "temporary",
        "dump",
        "summed",
        "directory",
    ]

_BY_NAME: "dict[str, Kind]" = {
    SERVER_GROUPS: "groups",
    SERVER_RESOURCES: "resources",
    PACK: "pack",
    UNKNOWN: "unknown",
    LOCK: "lock",
}
# Go's CreateTemp appends digits to `serverresources.json.`; ours does the same.
_TEMPORARY = re.compile(
    rf"(?:{'|'.join(map(re.escape, (SERVER_GROUPS, SERVER_RESOURCES, PACK, UNKNOWN)))})\.\d+"
)
_ENTRY = re.compile(r"([0-9a-f]{32}|[0-9a-f]{64})(\.\d+)?")
_DUMP_NAME_LENGTH = 32
_DIGITS = re.compile(r"\d+")
_DEEPEST = 40
"""Directories in each other; arbitrary, a server's URL has few parts and a group-version two."""


class Item(Record):
    """One file, link or directory of the cache, while the directory that holds it is open."""

    directory: Directory
    """Of a directory: itself, unless it is a link."""
    name: str
    """Empty for a directory that is open."""
    kind: "Kind"
    found: "os.stat_result"

    @property
    def path(self) -> str:
        """Whole."""
        return f"{self.directory.path}/{self.name}".rstrip("/")

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.found.st_mode)


def walk(root: str, uid: int, errors: "list[OSError]") -> "Iterator[Item]":
    """Everything of a cache, sorted; an item may be used until the next is asked for.

    Args:
        root: Of the whole cache.
        uid: For the directories that items hold.
        errors: Where it is told what could not be looked at.
    """
    try:
        top = open_root(root, uid)
    except FileNotFoundError:
        return
    except OSError as error:
        errors.append(error)
        return
    with top:
        yield _itself(top)
        yield from _opened(top, DISCOVERY, errors, _discovery, may_be_link=True)
        yield from _opened(top, HTTP, errors, _http, may_be_link=True)


def walk_host(root: str, relative: str, uid: int, errors: "list[OSError]") -> "Iterator[Item]":
    """As `walk`, of one server's directory below `discovery/`."""
    try:
        host = open_host(root, relative, uid)
    except FileNotFoundError:
        return
    except OSError as error:
        errors.append(error)
        return
    with host:
        yield _itself(host)
        yield from _listed(host, errors, _discovery)


def _itself(directory: Directory) -> Item:
    return Item(directory=directory, name="", kind="directory", found=directory.itself())


def _opened(
    parent: Directory,
    name: str,
    errors: "list[OSError]",
    inside: "_Inside",
    *,
    may_be_link: bool = False,
) -> "Iterator[Item]":
    try:
        child = parent.child(name, may_be_link=may_be_link)
    except FileNotFoundError:
        return
    except OSError as error:
        errors.append(error)
        return
    with child:
        yield _itself(child)
        yield from _listed(child, errors, inside)


def _listed(directory: Directory, errors: "list[OSError]", inside: "_Inside") -> "Iterator[Item]":
    try:
        entries = list(directory.entries())
    except OSError as error:
        errors.append(error)
        return
    for name, found in entries:
        yield from inside(directory, name, found, errors)


def _discovery(
    directory: Directory, name: str, found: "os.stat_result", errors: "list[OSError]"
) -> "Iterator[Item]":
    kind = _BY_NAME.get(name) or ("temporary" if _TEMPORARY.fullmatch(name) else None)
    if kind is not None:
        yield Item(directory=directory, name=name, kind=kind, found=found)
    elif stat.S_ISLNK(found.st_mode):  # where only directories are expected
        yield Item(directory=directory, name=name, kind="directory", found=found)
    elif stat.S_ISDIR(found.st_mode):
        if directory.path.count("/") < _DEEPEST:
            yield from _opened(directory, name, errors, _discovery)
        else:
            errors.append(
                OSError(errno.ELOOP, "too many directories in each other", directory.path)
            )


def _http(
    directory: Directory, name: str, found: "os.stat_result", errors: "list[OSError]"
) -> "Iterator[Item]":
    if name == HTTP_TEMPORARY:
        if stat.S_ISLNK(found.st_mode):
            yield Item(directory=directory, name=name, kind="directory", found=found)
        else:
            yield from _opened(directory, name, errors, _passing)
    elif match := _ENTRY.fullmatch(name):
        is_dump = len(match[1]) == _DUMP_NAME_LENGTH
        kind: Kind = "temporary" if match[2] else "dump" if is_dump else "summed"
        yield Item(directory=directory, name=name, kind=kind, found=found)


def _passing(
    directory: Directory, name: str, found: "os.stat_result", _errors: "list[OSError]"
) -> "Iterator[Item]":
    if _DIGITS.fullmatch(name):
        yield Item(directory=directory, name=name, kind="temporary", found=found)


if TYPE_CHECKING:
    _Inside = Callable[[Directory, str, "os.stat_result", "list[OSError]"], Iterator[Item]]
