"""What a server offers, from the cache where it can be, from the server where it must be.

The index of the cache answers most questions alone. What is older than six hours still answers at
once and is asked for anew afterwards (`settle`); only what is not found makes anybody wait. And
where nothing is cached, what belongs to the core group is known as soon as that group is: the rest
of discovery, with whatever hangs in it, is left for afterwards too.
"""

import time

from kubelag.errors import UnknownResourceError
from kubelag.kube.discovery.resolve import (
    Resource,
    expand_category,
    resolve,
    resource_of,
    rows_of,
)
from kubelag.kube.discovery.snapshot import FRESH_S
from kubelag.kube.record import Record
from kubelag.kube.shown import without_user

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kubelag.kube.cache.store import Store
    from kubelag.kube.discovery.fetch import Begun, Fetcher
    from kubelag.kube.discovery.resolve import Row
    from kubelag.kube.discovery.snapshot import Group, GroupVersion, Snapshot
    from kubelag.kube.transport.events import Observer

USABLE_S = 7 * 24 * 3600.0
"""How long it is used while it is asked for anew behind. Arbitrary: a week without a single run
that could renew it."""
UNKNOWN_S = 30.0
"""How long a name that nothing answers to is remembered. Arbitrary: a loop that waits for a new
resource sees it soon, and a loop over a wrong name costs nothing."""


CORE_NAMES = frozenset(
    {
        *("configmaps", "endpoints", "events", "limitranges", "namespaces", "nodes"),
        *("persistentvolumeclaims", "persistentvolumes", "pods", "podtemplates"),
        *("replicationcontrollers", "resourcequotas", "secrets", "serviceaccounts", "services"),
    }
)
"""Names that the core group has had since 1.0, asked of it first. Its group comes before all others
and a full name before all other ways to name, so that no group can change what they mean."""


class Manner(Record):
    """What is done when."""

    is_eager: bool = False
    """Whether nothing is left for afterwards, as kubectl does."""
    may_write: bool = True
    """Whether what is found may be kept in the cache, or the cache be healed."""


class View(Record):
    """What a look-up needs, from the cache's index or from a snapshot."""

    rows: "Sequence[Row]"
    groups: "Sequence[Group]"
    not_ok: "Mapping[str, GroupVersion]"
    """Group-versions that are empty, stale or failed."""


class Discovery:
    """The resources of one server.

    Args:
        server: Its URL as the kubeconfig spells it.
        store: The cache on disk; None to keep everything in memory.
        fetcher: Makes what asks the server, when it is needed; loading it takes longer than a
            whole look-up in the cache.
        observe: Told when the cache was read.
        manner: What is done when.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        server: str,
        store: "Store | None",
        fetcher: "Callable[[], Fetcher]",
        observe: "Observer | None" = None,
        *,
        manner: "Manner | None" = None,
        clock: "Callable[[], float]" = time.time,
    ) -> None:
        self._server = server
        self._store = store
        self._make_fetcher = fetcher
        self._observe = observe
        self._fetcher: Fetcher | None = None
        self._manner = manner or Manner()
        self._clock = clock
        self._begun: Begun | None = None
        self._view: View | None = None
        self._snapshot: Snapshot | None = None
        self._is_settled = True
        self._is_written = True
        self._needs_sweep = False
        self._has_due = False
        self._asked_at_s = 0.0
        self._unknown: dict[str, float] = {}

    def resolve(self, name: str) -> Resource:
        """The resource that a name means: `po`, `deployments.apps`, `Deployment.v1.apps` and so on.

        Raises:
            UnknownResourceError: If none answers to it; the server was asked, now or just before.
            TransportError: If the server had to be asked and could not be.
            ApiError: If it refused to tell.
        """
        early = self._core_resource(name)
        if early is not None:
            return early
        view = self._have_view()
        found = resolve(name, view.rows, view.groups)
        if found is None and self._has_due:
            view = self._renew_due()
            found = resolve(name, view.rows, view.groups)
        if found is None and not self._is_known_as_unknown(name):
            view = self._look_again()
            found = resolve(name, view.rows, view.groups)
            if found is None:
                self._remember_unknown(name)
        if found is None:
            raise UnknownResourceError(
                f"{without_user(self._server)} has no resource {name!r}", _unknown_step(view)
            )
        return found

    def category(self, name: str) -> list[Resource]:
        """The resources of a category such as `all`; none where nothing has this name."""
        if name in CORE_NAMES:
            return []
        view = self._have_view()
        return expand_category(name, view.rows, view.groups)

    def resources(self) -> list[Resource]:
        """Every resource in every version, in the server's order."""
        return [resource_of(row) for row in self._have_view().rows]

    def snapshot(self) -> "Snapshot":
        """Everything known, with verbs and subresources."""
        self._have_view()
        self._snapshot = self._last_known()
        return self._snapshot or self.refresh()

    def refresh(self) -> "Snapshot":
        """Ask the server now: two requests where what is known still holds and it can tell so."""
        return self._take(self._ask().fetch(self._last_known()))

    def _last_known(self) -> "Snapshot | None":
        """The whole of it, read from the cache only when the index does not do."""
        if self._snapshot is None and self._store is not None:
            return self._store.snapshot()
        return self._snapshot

    def settle(self, *, may_ask: bool = True) -> None:
        """Do what nobody waits for: renew what is old, and write what is new to the cache."""
        store = self._store
        if store is None or not self._manner.may_write:
            return  # nobody would ever read it
        if may_ask:
            self._catch_up()
        if self._needs_sweep:
            self._sweep(store)
        store.flush()
        self._is_written = True

    def _catch_up(self) -> None:
        if self._begun is not None:
            self._finish(self._begun)
        elif not self._is_settled:
            self.refresh()
        elif self._has_due:
            self._renew_due()

    @property
    def has_work_left(self) -> bool:
        """Whether `settle` has something to do."""
        if self._store is None or not self._manner.may_write:
            return False
        is_done = self._is_written and self._is_settled and self._begun is None
        return self._needs_sweep or self._has_due or not is_done

    def _sweep(self, store: "Store") -> None:
        """After a crash, what it left of kubectl's files is removed, and written anew."""
        from kubelag.kube.cache.repair import sweep  # noqa: PLC0415 -- once a boot

        sweep(store.root, self._server)
        snapshot = self._last_known()
        if snapshot is not None:
            store.save(snapshot)
        self._needs_sweep = False

    def _have_view(self) -> "View":
        self._read_cache()
        if self._begun is not None:
            self._finish(self._begun)
        if self._view is None:
            self.refresh()
        if self._view is None:
            raise AssertionError
        return self._view

    def _read_cache(self) -> None:
        if self._view is None and self._begun is None:
            self._view = self._cached()

    def _core_resource(self, name: str) -> Resource | None:
        """A resource of the core group, where nothing is cached and nothing else was asked for."""
        if self._manner.is_eager or name not in CORE_NAMES:
            return None
        self._read_cache()
        if self._view is not None:
            return None
        fetcher = self._ask()
        self._begun = fetcher.with_core(self._begun or fetcher.begin())
        core = self._begun.known.get(self._begun.core or "")
        return resolve(name, rows_of(core), ()) if core is not None else None

    def _finish(self, begun: "Begun") -> None:
        self._begun = None
        self._take(self._ask().finish(begun))

    def _cached(self) -> "View | None":
        """What the cache has, if it may be used."""
        if self._store is None:
            return None
        began_ns = time.perf_counter_ns()
        index = self._store.index()
        self._needs_sweep = self._store.needs_sweep()
        if index is None:
            return self._adopted(self._store, began_ns)
        self._tell_read(began_ns, "kubelag's own index")
        if not self._is_usable(index.fetched_s):
            return None
        failed = [one for one in index.not_ok.values() if one.state != "empty"]
        self._has_due = any(one.until_s <= self._clock() for one in failed)
        return View(rows=index.rows, groups=index.groups, not_ok=index.not_ok)

    def _is_usable(self, fetched_s: float) -> bool:
        """Whether what is so old may be used; what is no longer fresh is renewed later."""
        age_s = self._clock() - fetched_s
        self._is_settled = age_s < FRESH_S
        return age_s < USABLE_S

    def _adopted(self, store: "Store", began_ns: int) -> "View | None":
        """What kubectl's own files have.

        What is missing among them is fetched later, or when a name is not found without it.
        """
        snapshot = store.snapshot()
        self._tell_read(began_ns, "kubectl's files" if snapshot is not None else "nothing usable")
        if snapshot is None or not self._is_usable(snapshot.fetched_s):
            return None
        self._has_due = bool(snapshot.due(self._clock()))
        return self._view_of(snapshot)

    def _tell_read(self, began_ns: int, what: str) -> None:
        if self._observe is None:
            return
        from kubelag.kube.transport.events import Phase  # noqa: PLC0415 -- only for who listens

        ended_ns = time.perf_counter_ns()
        self._observe(Phase(kind="cache", began_ns=began_ns, ended_ns=ended_ns, detail=what))

    def _look_again(self) -> "View":
        """Ask the server once more, since a name was not found; at most once in a while."""
        if self._clock() - self._asked_at_s >= UNKNOWN_S:
            self.refresh()
        return self._have_view()

    def _take(self, snapshot: "Snapshot") -> "Snapshot":
        self._asked_at_s = self._clock()
        self._is_settled = True
        self._view = self._view_of(snapshot)
        return snapshot

    def _view_of(self, snapshot: "Snapshot") -> "View":
        self._snapshot = snapshot
        if self._store is not None and self._manner.may_write:
            self._store.save(snapshot)
            self._is_written = False
        known = snapshot.group_versions
        not_ok = {name: one for name, one in known.items() if one.state != "ok"}
        rows = [row for one in known.values() for row in rows_of(one)]
        return View(rows=rows, groups=snapshot.groups, not_ok=not_ok)

    def _renew_due(self) -> "View":
        """Ask once more for what failed a while ago, or what kubectl's files lack."""
        self._has_due = False
        snapshot = self.snapshot()
        if due := snapshot.due(self._clock()):
            self._view = self._view_of(self._ask().renew(snapshot, due))
        return self._have_view()

    def _ask(self) -> "Fetcher":
        if self._fetcher is None:
            self._fetcher = self._make_fetcher()
        return self._fetcher

    def _is_known_as_unknown(self, name: str) -> bool:
        if self._unknown.get(name, 0.0) > self._clock():
            return True
        return self._store is not None and self._store.is_unknown(name)

    def _remember_unknown(self, name: str) -> None:
        until_s = self._clock() + UNKNOWN_S
        self._unknown[name] = until_s
        if self._store is not None and self._manner.may_write:
            self._store.remember_unknown(name, until_s)


def _unknown_step(view: "View") -> str:
    failed = [name for name, one in view.not_ok.items() if one.state != "empty"]
    if failed:
        shown = ", ".join(failed[:3])
        return (
            f"it may be in {shown}, which cannot be had now; `kubelag api-resources` lists the rest"
        )
    return "`kubelag api-resources` lists what it has"
