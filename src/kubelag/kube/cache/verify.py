"""Looks at everything in a cache and says what is wrong with it. Changes nothing."""

import os
import time

from kubelag.kube.cache import pack
from kubelag.kube.cache.findings import (
    HARMLESS,
    Finding,
    bloat_of,
    finding_of,
    problem_of,
    unreadable,
)
from kubelag.kube.cache.layout import HTTP
from kubelag.kube.cache.walk import walk
from kubelag.kube.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kubelag.kube.cache.walk import Item


class Verification(Record):
    """What was looked at, and what was found."""

    root: str
    findings: "tuple[Finding, ...]"
    """In the order of their paths; what could not be looked at is among them."""
    files: int
    """How many were looked at."""
    unswept: "tuple[str, ...]"
    """Servers' directories that were last written before this boot, so that a crash may have left
    kubectl's files there unwritten."""

    @property
    def damages(self) -> "tuple[Finding, ...]":
        """Findings that need healing."""
        return tuple(each for each in self.findings if each.problem not in HARMLESS)


def verify(
    root: str,
    *,
    now_s: "float | None" = None,
    uid: "int | None" = None,
    boot_id: "str | None" = None,
) -> Verification:
    """Look at every server's files, at http/ and at what writers left behind.

    Args:
        root: Of the whole cache.
        now_s: Seconds since the epoch; by default now.
        uid: Whose it should be; by default the process's.
        boot_id: Of this boot; by default what the kernel says.
    """
    looking = _Looking(
        time.time() if now_s is None else now_s,
        os.geteuid() if uid is None else uid,
        pack.this_boot() if boot_id is None else boot_id,
    )
    errors: list[OSError] = []
    for item in walk(root, looking.uid, errors):
        looking.take(item)
    bloat = bloat_of(f"{root}/{HTTP}", looking.entries, looking.http_bytes)
    found = [*looking.findings, *map(unreadable, errors), *([bloat] if bloat else [])]
    return Verification(
        root=root,
        findings=tuple(sorted(found, key=lambda each: each.path)),
        files=looking.files,
        unswept=tuple(looking.unswept),
    )


class _Looking:
    """Counts and collects."""

    def __init__(self, now_s: float, uid: int, boot_id: str) -> None:
        self.now_s = now_s
        self.uid = uid
        self.findings: list[Finding] = []
        self.files = 0
        self.entries = 0
        self.http_bytes = 0
        self.unswept: list[str] = []
        self._boot_id = boot_id

    def take(self, item: "Item") -> None:
        self.files += item.kind != "directory"
        if item.kind in {"dump", "summed"}:
            self.entries += 1
            self.http_bytes += item.found.st_size
        try:
            problem = problem_of(item, self.now_s, self.uid)
        except OSError as error:
            self.findings.append(unreadable(error))
            return
        if problem is not None:
            self.findings.append(finding_of(item, problem))
        elif item.kind == "pack":
            self._compare_boot(item)

    def _compare_boot(self, item: "Item") -> None:
        index = pack.decode_index(item.directory.read(item.name)[0])
        if index is not None and index.boot_id != self._boot_id:
            self.unswept.append(item.directory.path)
