"""Pure: what tells one machine's run from another's, and on which factors it bears."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from kubelag.model.attribution import Factor
from kubelag.model.evidence import Evidence
from kubelag.model.units import seconds
from kubelag.timeline import factors
from kubelag.timeline.rates import whole_disk_rate

NOT_KNOWN = "not known"
_CACHE = (factors.CACHE_FSYNC, factors.CACHE_FILES)
_NAMES = (factors.DNS,)
_WAY = (
    factors.CONNECT,
    factors.PROXY,
    factors.TLS,
    factors.LOSS,
    factors.BROKEN,
    factors.ROUND_TRIPS,
    factors.TRANSFER,
)
_SERVER = (factors.DISCOVERY, factors.TARGET, factors.RETRY_AFTER)
_PROCESSOR = (factors.CLIENT_CPU, factors.RUN_QUEUE, factors.CPU_THROTTLED)
_ALL = tuple(factors.TITLES)


class Trait(NamedTuple):
    """One thing that may differ."""

    name: str
    bears_on: tuple[Factor, ...]
    read: Callable[[Evidence], str]
    """As a reader is shown it; empty where it was not seen."""


def _client(seen: Evidence) -> str:
    return f"{seen.client.kind} {seen.client.version or ''}".strip()


def _place(seen: Evidence) -> str:
    return seen.cache.place if seen.cache else ""


def _cache_state(seen: Evidence) -> str:
    if seen.cold:
        return "cold, as asked for"
    return seen.cache.state if seen.cache else ""


def _write_latency(seen: Evidence) -> str:
    """To two digits: what differs by less is the same."""
    device = seen.cache.device if seen.cache else None
    rate = whole_disk_rate(seen.host, device) if device else None
    if rate is None or rate.write_await_ms is None:
        return ""
    return f"{float(f'{rate.write_await_ms:.1g}'):g} ms"


def _name_servers(seen: Evidence) -> str:
    resolver = seen.path.resolver if seen.path else None
    return ", ".join(resolver.servers) if resolver else ""


def _search(seen: Evidence) -> str:
    resolver = seen.path.resolver if seen.path else None
    return f"{' '.join(resolver.search)} (ndots {resolver.ndots})" if resolver else ""


def _addresses(seen: Evidence) -> str:
    return ", ".join(seen.path.addresses) if seen.path else ""


def _proxy(seen: Evidence) -> str:
    if seen.path is None:
        return ""
    return f"{seen.path.proxy} (from {seen.path.proxy_source})" if seen.path.proxy else "none"


def _protocol(seen: Evidence) -> str:
    probes = seen.path.front if seen.path else ()
    return "/".join(sorted({one.protocol for one in probes if one.protocol}))


def _round_trip(seen: Evidence) -> str:
    known = [one.rtt_ns for one in seen.connections if one.rtt_ns is not None]
    return seconds(float(f"{min(known):.1g}")) if known else ""


def _path_mtu(seen: Evidence) -> str:
    probes = seen.path.front if seen.path else ()
    known = [one.path_mtu_bytes for one in probes if one.path_mtu_bytes]
    return f"{min(known):,} bytes" if known else ""


def _backends(seen: Evidence) -> str:
    return ", ".join(sorted(one.address for one in seen.path.backends)) if seen.path else ""


def _processors(seen: Evidence) -> str:
    return str(seen.machine.processors)


TRAITS = (
    Trait("client", _ALL, _client),
    Trait("wrappers", (factors.WRAPPER,), lambda seen: ", ".join(seen.client.wrappers) or "none"),
    Trait("cache was", (*_CACHE, *_SERVER), _cache_state),
    Trait("cache lies on", _CACHE, _place),
    Trait("that disk's write takes", _CACHE, _write_latency),
    Trait(
        "credential plugin",
        (factors.CREDENTIAL_PLUGIN,),
        lambda seen: seen.credential_plugin or "none",
    ),
    Trait("name servers", _NAMES, _name_servers),
    Trait("search list", _NAMES, _search),
    Trait("server's addresses", _WAY, _addresses),
    Trait("proxy", (factors.PROXY, factors.CONNECT), _proxy),
    Trait("protocol", _WAY, _protocol),
    Trait("round trip", (factors.ROUND_TRIPS,), _round_trip),
    Trait("path MTU", _WAY, _path_mtu),
    Trait("API servers behind it", _SERVER, _backends),
    Trait("processors", _PROCESSOR, _processors),
    Trait("kernel", _ALL, lambda seen: seen.machine.kernel),
    Trait("system", _ALL, lambda seen: seen.machine.os),
)


def values_of(trait: Trait, runs: Iterable[Evidence]) -> tuple[str, ...]:
    """The trait on every machine."""
    return tuple(trait.read(seen) or NOT_KNOWN for seen in runs)
