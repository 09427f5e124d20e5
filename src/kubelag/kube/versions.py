"""Client versions: read what clients say of themselves, and compare.

What changed when is from client-go and cli-runtime at the named tags (v0.N is kubectl 1.N).
"""

import re
from typing import NamedTuple

_NUMBERS = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")
# Debian's way of packaging an older release under a newer version: 1.20.5+really1.20.2.
_REALLY = "+really"


class Version(NamedTuple):
    """A release; pre-release and build marks are ignored, since no rule here depends on them."""

    major: int
    minor: int
    patch: int = 0

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


FIXED_FSYNC = Version(1, 25)
"""The HTTP cache writes a SHA-256 instead of syncing (kubernetes/kubernetes#110851)."""

TTL_SIX_HOURS = Version(1, 24)
"""Discovery entries live 6 hours, 10 minutes before (kubernetes/kubernetes#107141)."""

READS_KUBECACHEDIR = Version(1, 25)
"""The environment variable KUBECACHEDIR names the cache (kubernetes/kubernetes#109479)."""

DUMPS_ON_FATAL_UNTIL = Version(1, 23)
"""Before about this release a failing kubectl at -v 6 dumps every goroutine and exits with 255
instead of 1. Measured on 1.20.2 (dumps) and 1.27 to 1.33 (do not)."""


def parse_version(text: str) -> Version | None:
    """The first version in the text, None where there is none.

    `1.20.5+really1.20.2` is 1.20.2; `v1.32.4-dispatcher` is 1.32.4; `1.32+` is 1.32.0.
    """
    _, really, after = text.rpartition(_REALLY)
    found = _NUMBERS.search(after if really else text)
    if found is None:
        return None
    major, minor, patch = found.groups(default="0")
    return Version(int(major), int(minor), int(patch))


def has_fsync_fix(text: str | None) -> bool | None:
    """Whether a client of this version no longer syncs its cache; None where that is unknown."""
    version = parse_version(text or "")
    return None if version is None else version >= FIXED_FSYNC
