"""Where kubectl keeps its discovery cache, and how it names what is in it. Pure.

Source: cli-runtime `pkg/genericclioptions/config_flags.go` and client-go
`discovery/cached/disk/cached_discovery.go` at the tags v0.19 to v0.36. Measured on kubectl
1.20.2 and 1.27 to 1.33 where a line says so.
"""

import hashlib
import os.path
import re
from collections.abc import Mapping
from typing import NamedTuple

from kubelag.kube.versions import (
    FIXED_FSYNC,
    READS_KUBECACHEDIR,
    TTL_SIX_HOURS,
    Version,
    parse_version,
)

SERVER_GROUPS = "servergroups.json"
SERVER_RESOURCES = "serverresources.json"
DISCOVERY = "discovery"
HTTP = "http"
HTTP_TEMPORARY = ".diskv-temp"

_TTL_BEFORE_S = 600
_TTL_SINCE_S = 6 * 3600
# The set is the same in every release, though 1.22 and older escape the dot. Go's \w is ASCII.
_UNSAFE = re.compile(r"[^(\w/.)]", re.ASCII)


class CacheRoot(NamedTuple):
    """The root of the cache, and which rule gave it."""

    path: str
    """Absolute; links in it are not resolved."""
    rule: str
    """`--cache-dir`, `KUBECACHEDIR`, `HOME`, or `working directory`."""


def cache_root(
    flag: str | None, env: Mapping[str, str], version: str | None, working_directory: str
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
    known = parse_version(version or "")
    is_new = known is None or known >= READS_KUBECACHEDIR
    if flag or (flag == "" and not is_new):
        return CacheRoot(_absolute(flag, working_directory), "--cache-dir")
    if is_new and env.get("KUBECACHEDIR"):
        return CacheRoot(_absolute(env["KUBECACHEDIR"], working_directory), "KUBECACHEDIR")
    home = env.get("HOME", "")
    rule = "HOME" if home else "working directory"
    return CacheRoot(_absolute(os.path.join(home, ".kube/cache"), working_directory), rule)  # noqa: PTH118 -- joins text; Path would drop nothing but add an import


def _absolute(path: str, working_directory: str) -> str:
    return os.path.normpath(os.path.join(working_directory, path))  # noqa: PTH118 -- the same


def host_directory(root: str, server: str) -> str:
    """The directory below `discovery/` for one server URL, as the client spells it in its config.

    A path prefix becomes directories of its own. User information in the URL, should there be
    any, becomes part of the name.
    """
    bare = server.replace("https://", "", 1).replace("http://", "", 1)
    return os.path.normpath(f"{root}/{DISCOVERY}/{_UNSAFE.sub('_', bare)}")


def resources_file(group_version: str) -> str:
    """The file of one group-version, relative to the host directory."""
    return f"{group_version}/{SERVER_RESOURCES}"


def ttl_s(version: str | None) -> int:
    """How long a discovery entry lives after its last modification; newest rule where unknown."""
    known = parse_version(version or "")
    return _TTL_BEFORE_S if known is not None and known < TTL_SIX_HOURS else _TTL_SINCE_S


def http_name(url: str, version: Version) -> str:
    """File name of one response in `http/`; the URL with its query, as it was sent."""
    if version < FIXED_FSYNC:
        return hashlib.md5(url.encode(), usedforsecurity=False).hexdigest()
    return hashlib.sha256(url.encode()).hexdigest()
