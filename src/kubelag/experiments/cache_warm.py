"""The same command with a cache that is already filled, on the same file system."""

from kubelag.experiments.contract import NotApplicableError, Situation, Treatment


class CacheWarm:
    """See the module."""

    id = "cache_warm"
    title = "with a filled, writable cache"

    def vary(self, situation: Situation) -> tuple[Treatment, ...]:
        """The command with a copy of a filled cache."""
        cache = situation.evidence.cache
        if cache is not None and cache.state == "warm":
            raise NotApplicableError("the cache was warm already")
        program, *words = situation.evidence.command
        again = f"{program} --cache-dir=$d {' '.join(words)}"
        shown = f"d=$(mktemp -d) && {again} && time {again}"
        return (Treatment(variant=situation.unchanged.but(cache="warmed", shown=shown)),)
