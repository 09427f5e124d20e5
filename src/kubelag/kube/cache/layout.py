"""Where kubectl keeps its discovery cache, and how it names what is in it. Pure.

Source: cli-runtime `pkg/genericclioptions/config_flags.go` and client-go
`discovery/cached/disk/cached_discovery.go` at the tags v0.19 to v0.36. Measured on kubectl
1.20.2 and 1.27 to 1.33 where a line says so.
"""

import os.path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from kubelag.kube.versions import Version

SERVER_GROUPS = "servergroups.json"
SERVER_RESOURCES = "serverresources.json"
DISCOVERY = "discovery"
HTTP = "http"
HTTP_TEMPORARY = ".diskv-temp"
PACK = "kubelag.v1"
"""Ours, in each server's directory; kubectl ignores what it does not know."""
UNKNOWN = "kubelag.unknown.v1"
LOCK = "kubelag.lock"

_TTL_BEFORE_S = 600
_TTL_SINCE_S = 6 * 3600
# `[^(\w/.)]` is what kubectl replaces, in every release, though 1.22 and older escape the dot. Go's
# \w is ASCII; the parentheses are safe because they stand inside the brackets.
_SAFE = "(_/.)"


class CacheRoot(tuple[str, str]):
    """The root of the cache, and which rule gave it. A named tuple, without `typing`."""

    __slots__ = ()

    def __new__(cls, path: str, rule: str) -> "Self":
        """Both by position or by name."""
        return super().__new__(cls, (path, rule))

    @property
    def path(self) -> str:
        """Absolute; links in it are not resolved."""
        return self[0]

    @property
    def rule(self) -> str:
        """`--cache-dir`, `KUBECACHEDIR`, `HOME`, or `working directory`."""
        return self[1]


def cache_root(
    flag: "str | None", env: "Mapping[str, str]", version: "str | None", working_directory: str
) -> CacheRoot:
    """The root by kubectl's own rule.

    An empty `--cache-dir=` is the working directory in 1.20 and the default in 1.27 (measured); the
    line is drawn at 1.25, where the rule was rewritten. Where the version is not known, the newest
    rules are taken.

    Args:
        flag: Value of `--cache-dir`, None where it was not given.
        env: The client's environment.
        version: The client's version.
        working_directory: The client's working directory, absolute.
    """
    is_new = _is_new(version)
    if flag or (flag == "" and not is_new):
        return CacheRoot(_absolute(flag, working_directory), "--cache-dir")
    if is_new and env.get("KUBECACHEDIR"):
        return CacheRoot(_absolute(env["KUBECACHEDIR"], working_directory), "KUBECACHEDIR")
    home = env.get("HOME", "")
    rule = "HOME" if home else "working directory"
    return CacheRoot(_absolute(os.path.join(home, ".kube/cache"), working_directory), rule)  # noqa: PTH118 -- joins text; Path would drop nothing but add an import


def _is_new(version: "str | None") -> bool:
    if version is None:  # kubelag's own client, which may not wait for an import
        return True
    from kubelag.kube.versions import READS_KUBECACHEDIR, parse_version  # noqa: PLC0415 - see above

    known = parse_version(version)
    return known is None or known >= READS_KUBECACHEDIR


def _absolute(path: str, working_directory: str) -> str:
    return os.path.normpath(os.path.join(working_directory, path))  # noqa: PTH118 -- the same


def host_directory(root: str, server: str) -> str:
    """The directory below `discovery/` for one server URL, as the client spells it in its config.

    A path prefix becomes directories of its own. User information in the URL, should there be
    any, becomes part of the name.
    """
    bare = server.replace("https://", "", 1).replace("http://", "", 1)
    safe = "".join(
        char if char.isascii() and (char.isalnum() or char in _SAFE) else "_" for char in bare
    )
    return os.path.normpath(f"{root}/{DISCOVERY}/{safe}")


def resources_file(group_version: str) -> str:
    """The file of one group-version, relative to the host directory."""
    return f"{group_version}/{SERVER_RESOURCES}"


def ttl_s(version: "str | None") -> int:
    """How long a discovery entry lives after its last modification; newest rule where unknown."""
    from kubelag.kube.versions import TTL_SIX_HOURS, parse_version  # noqa: PLC0415 - see _is_new

    known = parse_version(version or "")
    return _TTL_BEFORE_S if known is not None and known < TTL_SIX_HOURS else _TTL_SINCE_S


def http_name(url: str, version: "Version") -> str:
    """File name of one response in `http/`; the URL with its query, as it was sent."""
    import hashlib  # noqa: PLC0415 - brings OpenSSL, 3 ms; no reading comes by here

    from kubelag.kube.versions import FIXED_FSYNC  # noqa: PLC0415 - see _is_new

    if version < FIXED_FSYNC:
        return hashlib.md5(url.encode(), usedforsecurity=False).hexdigest()
    return hashlib.sha256(url.encode()).hexdigest()
