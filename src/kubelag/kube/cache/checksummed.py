"""The default policy: nothing is synced, because everything is verified when it is read.

Our pack carries SHA-256 sums; kubectl's http/ entries since 1.25 carry one as well. kubectl's
discovery files carry none: after a crash they may be short or empty, which `verify` finds and a
sweep after an unclean boot heals (see `repair`). git, ccache and sccache write the same way.
"""

import errno
import os

from kubelag.kube.cache.directory import (
    OWN_FILE_MODE,
    SHARED_FILE_MODE,
    Directory,
    as_clause,
    open_host,
    open_part,
    open_root,
)
from kubelag.kube.cache.http_entries import encode_entry, entry_name, has_etag
from kubelag.kube.cache.layout import HTTP, LOCK
from kubelag.kube.cache.writing import write_everything

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kubelag.kube.cache.pack import Stamp
    from kubelag.kube.cache.place import Place
    from kubelag.kube.discovery.snapshot import Snapshot
    from kubelag.kube.transport.messages import Response

_LOCK_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class Checksummed:
    """Collects, and writes once, at the end, only what changed."""

    def __init__(self, place: "Place", now: "Callable[[], float]", troubles: list[str]) -> None:
        self._place = place
        self._now = now
        self._troubles = troubles
        self._entries: dict[str, tuple[Response, str]] = {}
        self._saved: tuple[Snapshot, Stamp | None] | None = None

    def put(self, url: str, response: "Response", accept: str) -> None:
        """Keep an answer that can ever save a request."""
        if has_etag(response):
            self._entries[url] = (response, accept)

    def save(self, snapshot: "Snapshot", stamp: "Stamp | None") -> None:
        """Keep the snapshot."""
        self._saved = (snapshot, stamp)

    def flush(self) -> None:
        """Write, unless another process is at it."""
        if not self._entries and self._saved is None:
            return
        place = self._place
        try:
            with open_host(place.root, place.relative, place.uid, is_made=True) as host:
                self._flush_under_lock(host)
        except OSError as error:
            self._troubles.append(as_clause(error))
        self._entries.clear()
        self._saved = None

    def _flush_under_lock(self, host: Directory) -> None:
        descriptor = _lock(host)
        if descriptor is None:
            return
        try:
            if self._entries:
                self._write_entries()
            if self._saved is not None:
                snapshot, stamp = self._saved
                self._troubles += write_everything(
                    host, snapshot, stamp, self._now(), is_rewritten=False
                )
        finally:
            os.close(descriptor)

    def _write_entries(self) -> None:
        try:
            with (
                open_root(self._place.root, self._place.uid) as top,
                open_part(top, HTTP, is_made=True) as http,
            ):
                for url, (response, accept) in self._entries.items():
                    _write_entry(http, url, response, accept)
        except OSError as error:
            self._troubles.append(as_clause(error))


def _write_entry(http: Directory, url: str, response: "Response", accept: str) -> None:
    try:
        content = encode_entry(response, accept, is_summed=True)
    except ValueError:  # a coding that kubectl would not have asked for
        return
    http.write(entry_name(url, is_summed=True), content, SHARED_FILE_MODE)


def _lock(host: Directory) -> "int | None":
    """A descriptor that holds the lock until it is closed; None where somebody else holds it.

    Raises:
        OSError: If there can be no lock file.
    """
    import fcntl  # noqa: PLC0415 - only where something is written

    try:
        descriptor = os.open(LOCK, _LOCK_FLAGS, OWN_FILE_MODE, dir_fd=host.descriptor)
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"{host.path}/{LOCK}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        # ENOLCK: a file system that has no locks; writing is atomic without.
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
            return None
        raise OSError(error.errno, error.strerror, f"{host.path}/{LOCK}") from error
    return descriptor
