"""The same command with its cache on tmpfs, in the same state as on disk."""

from kubelag.experiments.contract import NotApplicableError, Situation, Treatment
from kubelag.experiments.private_place import memory_place


class CacheOnMemory:
    """See the module."""

    id = "cache_on_memory"
    title = "with its cache in memory"

    def vary(self, situation: Situation) -> tuple[Treatment, ...]:
        """The command with another cache directory."""
        place = memory_place()
        if place is None:
            raise NotApplicableError("there is no tmpfs that this user may write to")
        cache = situation.evidence.cache
        if cache is not None and cache.file_system == "tmpfs":
            raise NotApplicableError("the cache is in memory already")
        program, *words = situation.evidence.command
        shown = f"{program} --cache-dir=$(mktemp -d -p {place}) {' '.join(words)}"
        return (Treatment(variant=situation.unchanged.but(cache="on_memory", shown=shown)),)
