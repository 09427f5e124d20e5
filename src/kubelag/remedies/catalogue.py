"""Every remedy, built in or a third party's; each is loaded only when it is wanted."""

import importlib
from importlib.metadata import entry_points
from typing import NamedTuple

from kubelag.errors import RemedyError, UsageError
from kubelag.model.evidence import Evidence
from kubelag.model.remedy import Advice
from kubelag.remedies.contract import Remedy

GROUP = "kubelag.remedies"


class Entry(NamedTuple):
    """Where a remedy is."""

    id: str
    module: str
    maker: str
    """A class or function of the module that takes nothing and gives the remedy."""


# Best first: what needs no new program, then what cures for good, then the rest.
BUILT_IN = (
    Entry("cache-in-memory", "kubelag.remedies.cache_in_memory", "CacheInMemory"),
    Entry("upgrade-client", "kubelag.remedies.upgrade_client", "remedy"),
    Entry("no-sync-launcher", "kubelag.remedies.no_sync_launcher", "remedy"),
    Entry("repair-cache-link", "kubelag.remedies.repair_cache_link", "RepairCacheLink"),
    Entry("writable-cache", "kubelag.remedies.writable_cache", "remedy"),
)


def entries() -> tuple[Entry, ...]:
    """The built-in remedies, then those of installed packages; a built-in id cannot be taken."""
    taken = {entry.id for entry in BUILT_IN}
    others = (
        Entry(point.name, point.module, point.attr)
        for point in entry_points(group=GROUP)
        if point.name not in taken
    )
    return (*BUILT_IN, *others)


def find_remedy(remedy_id: str) -> Remedy:
    """The remedy with this id.

    Raises:
        UsageError: Where there is none.
        RemedyError: Where a third party's cannot be loaded.
    """
    known = entries()
    entry = next((entry for entry in known if entry.id == remedy_id), None)
    if entry is None:
        names = ", ".join(entry.id for entry in known)
        raise UsageError(f"there is no remedy {remedy_id!r}", f"there are: {names}")
    try:
        maker = getattr(importlib.import_module(entry.module), entry.maker)
    except (ImportError, AttributeError) as error:
        raise RemedyError(
            f"the remedy {remedy_id} cannot be loaded: {error}", "mend or remove its package"
        ) from error
    remedy: Remedy = maker()
    return remedy


def advise(remedy_id: str, evidence: Evidence) -> Advice:
    """What a report says about one remedy, with exact commands.

    Raises:
        UsageError: Where there is no such remedy.
    """
    return find_remedy(remedy_id).advise(evidence)
