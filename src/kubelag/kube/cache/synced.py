"""The policy of kubectl up to 1.24: every answer is synced to disk, all of them under one lock.

Kept to reproduce the incident that kubelag was written for, without any kubectl. On a disk whose
writes take tens of milliseconds, `kubectl get nodes` took 20 to 60 seconds although its requests
had been answered at once: client-go wrote each of some hundred answers to http/, most of them twice
(157 syncs for 78 answers, 2026-11), with diskv, whose write holds one mutex across its fsync, so
that parallel requests queued for the disk, one behind the other (kubernetes/kubernetes#110753).
1.25 writes a checksum instead (#110851), as `checksummed` does. What it costs grows with the number
of group-versions and the latency of the disk.

Sources: client-go v0.24 `discovery/cached/disk/round_tripper.go`; diskv v2.0.1
`writeStreamWithLock`.
"""

import os
import threading

from kubelag.kube.cache.directory import (
    SHARED_FILE_MODE,
    Directory,
    as_clause,
    open_host,
    open_part,
    open_root,
    random_digits,
    write_all,
)
from kubelag.kube.cache.http_entries import encode_entry, entry_name
from kubelag.kube.cache.layout import HTTP, HTTP_TEMPORARY
from kubelag.kube.cache.writing import write_everything

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kubelag.kube.cache.pack import Stamp
    from kubelag.kube.cache.place import Place
    from kubelag.kube.discovery.snapshot import Snapshot
    from kubelag.kube.transport.messages import Response

_NOT_MODIFIED = 304


class Synced:
    """Writes at once and waits for the disk; may be used by several threads, which then queue."""

    def __init__(self, place: "Place", now: "Callable[[], float]", troubles: list[str]) -> None:
        self._place = place
        self._now = now
        self._troubles = troubles
        self._lock = threading.Lock()
        self._saved: tuple[Snapshot, Stamp | None] | None = None

    def put(self, url: str, response: "Response", accept: str) -> None:
        """Write one answer, whether or not it can ever save a request; 304 has nothing to write."""
        if response.status == _NOT_MODIFIED:
            return
        # Its reader is told twice that a body of known length has ended, and stores it each time.
        times = 2 if "content-length" in response.headers else 1
        try:
            content = encode_entry(response, accept, is_summed=False)
            for _ in range(times):
                self._write(entry_name(url, is_summed=False), content)
        except ValueError:  # a coding that kubectl would not have asked for
            return
        except OSError as error:
            if as_clause(error) not in self._troubles:
                self._troubles.append(as_clause(error))

    def save(self, snapshot: "Snapshot", stamp: "Stamp | None") -> None:
        """Keep the snapshot."""
        self._saved = (snapshot, stamp)

    def flush(self) -> None:
        """Write the discovery files, which kubectl never synced, every one of them."""
        if self._saved is None:
            return
        (snapshot, stamp), self._saved = self._saved, None
        place = self._place
        try:
            with open_host(place.root, place.relative, place.uid, is_made=True) as host:
                self._troubles += write_everything(
                    host, snapshot, stamp, self._now(), is_rewritten=True
                )
        except OSError as error:
            self._troubles.append(as_clause(error))

    def _write(self, name: str, content: bytes) -> None:
        # The lock is held across the fsync on purpose: that is the fault.
        with (
            self._lock,
            open_root(self._place.root, self._place.uid, is_made=True) as top,
            open_part(top, HTTP, is_made=True) as http,
            http.child(HTTP_TEMPORARY, is_made=True) as temporary,
        ):
            temporary.check()
            _write_synced(temporary, http, name, content)


def _write_synced(temporary: Directory, http: Directory, name: str, content: bytes) -> None:
    passing = random_digits()
    try:
        descriptor = temporary.create(passing)
        try:
            os.fchmod(descriptor, SHARED_FILE_MODE)
            write_all(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.rename(passing, http, name)
    except OSError as error:
        temporary.forget(passing)
        raise OSError(error.errno, error.strerror, f"{http.path}/{name}") from error
