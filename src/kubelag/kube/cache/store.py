"""The discovery cache as the client sees it: look up, take over, save.

It lives in kubectl's own directory, so that kubelag and every kubectl warm each other. The truth is
one sealed file of ours for each server; kubectl's files are written beside it and taken over where
kubectl wrote them last. Reading never writes. Nothing here decides whether a snapshot is still
fresh: it says when the server last vouched for it.
"""

import os
import time

from kubelag.kube.cache import pack
from kubelag.kube.cache.layout import DISCOVERY, PACK, SERVER_GROUPS, host_directory
from kubelag.kube.cache.policy import CHECKSUMMED, POLICIES, SYNCED, make_policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kubelag.kube.cache.pack import Index, Stamp
    from kubelag.kube.cache.place import Place
    from kubelag.kube.cache.policy import Policy
    from kubelag.kube.discovery.snapshot import Snapshot
    from kubelag.kube.transport.messages import Response


class Store:
    """The cache of one server.

    Args:
        root: Of the whole cache, as `layout.cache_root` gives it.
        server: Its URL, as the kubeconfig spells it.
        policy: How it is written, one of `policy.POLICIES`.
        now: Seconds since the epoch.
        uid: Whose files are believed; by default the process's.

    Raises:
        ValueError: If there is no such policy.
    """

    def __init__(
        self,
        root: str,
        server: str,
        *,
        policy: str = CHECKSUMMED,
        now: "Callable[[], float]" = time.time,
        uid: "int | None" = None,
    ) -> None:
        if policy not in POLICIES:
            raise ValueError(f"no policy {policy!r}; there are {', '.join(POLICIES)}")
        self.root = os.path.normpath(root)
        self.server = server
        self.host = host_directory(self.root, server)
        self.troubles: list[str] = []
        """What could not be written, in clauses that name the path and say why."""
        self._policy_name = policy
        self._policy: Policy | None = None
        self._kept: list[tuple[str, Response, str]] = []
        self._saved: Snapshot | None = None
        self._now = now
        self._uid = os.geteuid() if uid is None else uid
        self._seen_stamp: Stamp | None = None
        self._seen_boot = ""

    def index(self) -> "Index | None":
        """What a look-up needs, from our own file.

        None where there is none to be believed, or where kubectl wrote since: `snapshot` takes
        that over.
        """
        found = pack.read_index(f"{self.host}/{PACK}", self._uid, self._now())
        if found is None or found.server != self.server:
            return None
        self._seen_boot = found.boot_id
        return found if found.stamp == self._tree_stamp() else None

    def snapshot(self) -> "Snapshot | None":
        """Everything known, from our own file or, where that is newer, from kubectl's.

        What kubectl's cache lacks or has damaged is `failed` and due at once, so that only this is
        fetched. If `index` was None and this is not, `save` makes the next look-up quick.
        """
        both = pack.read_both(f"{self.host}/{PACK}", self._uid, self._now())
        if both is not None and both[0].server != self.server:
            both = None
        if both is not None:
            self._seen_boot = both[0].boot_id
            if both[0].stamp == self._tree_stamp():
                self._seen_stamp = both[0].stamp
                return both[1]
        if both is None and self._tree_stamp() is None:
            return None
        from kubelag.kube.cache.adoption import adopt  # noqa: PLC0415 - the rare way

        found, self._seen_stamp = adopt(self._place(), both, self._now())
        return found

    def needs_sweep(self) -> bool:
        """Whether kubectl's files may be what a crash left (see `repair.sweep`).

        That is so where nothing of ours was written since this boot; to be asked after reading.
        """
        return self._seen_boot != pack.this_boot()

    def put(self, url: str, response: "Response", accept: str = "") -> None:
        """Take one answer to a discovery request, for kubectl's HTTP cache.

        Args:
            url: Whole, with its query, as kubectl would send it.
            response: Whatever the server answered.
            accept: The Accept header that was sent.
        """
        self._kept.append((url, response, accept))
        if self._policy_name == SYNCED:
            self._hand_over()  # at once: that is its point

    def save(self, snapshot: "Snapshot") -> None:
        """Take what is known from now on; `flush` writes it."""
        self._saved = snapshot

    def flush(self) -> None:
        """Write what is not written yet; what could not be is in `troubles`."""
        writer = self._hand_over()
        if self._saved is not None:
            writer.save(self._saved, self._seen_stamp)
            self._saved = None
        writer.flush()

    def _hand_over(self) -> "Policy":
        """Give the answers to whoever writes, who is loaded only now."""
        if self._policy is None:
            self._policy = make_policy(self._policy_name, self._place(), self._now, self.troubles)
        for url, response, accept in self._kept:
            self._policy.put(url, response, accept)
        self._kept.clear()
        return self._policy

    def obstacle(self) -> str:
        """Why nothing can be written, as far as a glance tells: a clause, or empty."""
        from kubelag.kube.cache.obstacle import obstacle  # noqa: PLC0415 - before writing only

        return obstacle(self._place())

    def is_unknown(self, name: str) -> bool:
        """Whether the server was asked lately, and knew nothing of that name."""
        from kubelag.kube.cache import unknown  # noqa: PLC0415 - only after a look-up failed

        return unknown.is_unknown(self._place(), name, self._now())

    def remember_unknown(self, name: str, until_s: float) -> None:
        """Keep in mind, on disk and at once, that the server knows nothing of that name."""
        from kubelag.kube.cache import unknown  # noqa: PLC0415 - the same

        unknown.remember(self._place(), name, until_s, self._now(), self.troubles)

    def _tree_stamp(self) -> "Stamp | None":
        try:
            found = os.lstat(f"{self.host}/{SERVER_GROUPS}")
        except (OSError, ValueError):  # ValueError: a NUL in the path
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _place(self) -> "Place":
        from kubelag.kube.cache.place import Place  # noqa: PLC0415 - not for a look-up

        below = f"{self.root}/{DISCOVERY}/"
        relative = self.host[len(below) :] if self.host.startswith(below) else ""
        return Place(root=self.root, relative=relative, server=self.server, uid=self._uid)
