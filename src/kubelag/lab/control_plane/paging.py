"""limit, continue and remainingItemCount. Pure.

Source: `k8s.io/apiserver/pkg/storage/etcd3`: the token is JSON in unpadded URL-safe base64, with
the revision of the first page and the key to go on from.
"""

import base64
import binascii
import json
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from kubelag.lab.control_plane.inventory import JsonObject
from kubelag.lab.control_plane.objects import FIRST_REVISION, StoredObject

TOKEN_VERSION = "meta.k8s.io/v1"  # noqa: S105 - of a continue token
INCONSISTENT_REVISION = -1
"""In the token that comes with a 410: go on with whatever there is now."""


class BadTokenError(ValueError):
    """The token is none (400)."""


class ExpiredTokenError(Exception):
    """The token's revision is compacted (410).

    Args:
        token: By which the list can be continued all the same.
    """

    def __init__(self, token: str) -> None:
        super().__init__("the continue token is too old")
        self.token = token


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a list."""

    objects: tuple[StoredObject, ...]
    token: str
    """Empty on the last page."""
    remaining: int

    def metadata(self, revision: int, *, is_counted: bool) -> JsonObject:
        """The list's metadata; the real server does not count where it selects."""
        metadata: JsonObject = {"resourceVersion": str(revision)}
        if self.token:
            metadata["continue"] = self.token
            if is_counted:
                metadata["remainingItemCount"] = self.remaining
        return metadata


def encode_token(revision: int, start: str) -> str:
    """A continue token."""
    text = json.dumps({"v": TOKEN_VERSION, "rv": revision, "start": start}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def page(
    objects: Sequence[StoredObject], *, limit: int, token: str, namespace: str, revision: int
) -> Page:
    """Cut one page out of the objects.

    Args:
        objects: Those of the namespace, sorted by key.
        limit: 0 for no limit.
        token: Of the page before; empty for the first.
        namespace: Of the list; keys in tokens are relative to it.
        revision: The store's.

    Raises:
        BadTokenError: The token cannot be read.
        ExpiredTokenError: The token is too old.
    """
    start = _start(token) if token else ""
    prefix = f"{namespace}/" if namespace else ""
    first = bisect_left(objects, start, key=lambda item: item.key.removeprefix(prefix))
    taken = tuple(objects[first : first + limit] if limit > 0 else objects[first:])
    remaining = len(objects) - first - len(taken)
    following = ""
    if remaining:
        following = encode_token(revision, taken[-1].key.removeprefix(prefix) + "\0")
    return Page(objects=taken, token=following, remaining=remaining)


def _start(token: str) -> str:
    try:
        data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        found = json.loads(data)
        revision, start = int(found["rv"]), str(found["start"])
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise BadTokenError(
            f"invalid continue token: continue key is not valid: {error}"
        ) from error
    if revision < FIRST_REVISION and revision != INCONSISTENT_REVISION:
        raise ExpiredTokenError(encode_token(INCONSISTENT_REVISION, start))
    return start
