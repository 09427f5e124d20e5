"""The faults by name; a fault's own file is loaded only when it is wanted."""

import difflib
import importlib
from collections.abc import Sequence
from typing import Literal, NamedTuple, cast

from kubelag.errors import LabError
from kubelag.lab.faults.contract import Fault, HaFault

Topology = Literal["single", "ha"]
_HA_NEEDS = "root, haproxy, keepalived"


class Listed(NamedTuple):
    """A line of the catalogue."""

    id: str
    summary: str
    needs: str
    aliases: tuple[str, ...] = ()
    topology: Topology = "single"
    """Which lab it plays in."""


FAULTS = (
    Listed(
        "discovery_cache_fsync",
        "an old kubectl syncs every cache write to a slow disk: the founding incident",
        "root, or FUSE",
        ("incident",),
    ),
    Listed("cache_metadata_slow", "the cache lies on a file system slow to look up", "FUSE"),
    Listed("journal_wait", "a new kubectl's renames wait for a slow disk's journal", "root"),
    Listed(
        "cache_unwritable", "the cache cannot be written, so it is fetched each time", "nothing"
    ),
    Listed("credential_plugin_slow", "the credential plugin takes two seconds", "nothing"),
    Listed("api_server_slow", "the API server takes 0.3 s for each answer", "nothing"),
    Listed("cpu_throttled", "a control group allows a fraction of one processor", "root"),
    Listed("cpu_contended", "other processes want every processor", "nothing"),
    Listed("memory_pressure", "a memory limit evicts the program while it runs", "root"),
    Listed("nothing", "nothing is slow, and nothing may be accused", "nothing"),
    *(
        Listed(name, summary, _HA_NEEDS, aliases, "ha")
        for name, summary, aliases in (
            ("nothing_ha", "three healthy masters, and nothing may be accused", ("nothing",)),
            (
                "incident_ha",
                "the client's home is on the slow disk, everything behind it is healthy",
                ("incident",),
            ),
            ("dead_backend", "one API server is gone, and the balancers do not check it", ()),
            ("blackholed_backend", "packets to one API server vanish", ()),
            ("slow_backend", "one API server of three answers slowly", ()),
            ("vip_failover", "the shared address moves while the command runs", ()),
            ("api_slow", "every API server answers slowly", ()),
            ("api_429", "the API servers say 429 and when to come back", ()),
            ("apiservice_503", "one aggregated API is down", ()),
            ("apiservice_hanging", "one aggregated API hangs until it is given up", ()),
            ("apiservice_empty", "one aggregated API lists nothing, which is never cached", ()),
            ("authn_webhook_slow", "whoever shows a token waits for its approval", ()),
            ("api_queue", "requests wait in the API servers' queues", ()),
            ("api_storage_slow", "what the API servers must ask etcd for takes long", ()),
            ("server_unreachable", "packets to the shared address vanish", ()),
            ("tls_slow", "a box in the way holds back TLS handshakes", ()),
            ("http1_middlebox", "a box in the way speaks only HTTP/1.1", ()),
            ("proxy_working", "a proxy is in the way and works: nothing may be accused", ()),
            ("proxy_dead", "the proxy's machine is gone", ()),
            ("proxy_slow_connect", "the proxy takes long to answer CONNECT", ()),
            ("dns_slow", "the first name server takes long for every answer", ()),
            ("dns_dead_first", "the first name server never answers", ()),
            ("dns_aaaa_dropped", "the name server never answers for IPv6 addresses", ()),
            ("dns_search_list", "five names that do not exist are asked for first", ()),
            ("dns_nxdomain_slow", "that a name does not exist takes seconds to learn", ()),
            ("dns_local_domain", "the server's name ends in .local, which takes long", ()),
            ("dead_first_address", "nobody is at the first address of the name", ()),
            ("ipv6_blackhole", "behind the name's IPv6 address there is silence", ()),
            ("packet_loss", "the client's cable loses a fifth of the packets", ()),
            ("long_way", "the client's node is 80 ms away from everything", ()),
            ("narrow_line", "the client's cable carries 1 Mbit/s", ()),
            ("mtu_black_hole", "long packets to the client's node vanish", ()),
            ("connection_forgotten", "the command's connection is forgotten in mid-run", ()),
            ("websocket_refused", "the API servers refuse WebSockets", ()),
        )
    ),
)


def find_listed(name: str, topology: Topology | None = None) -> Listed:
    """The line of the fault with this id or alias; `-` stands for `_`.

    An id is never ambiguous. An alias may stand for one fault of each topology: without a wish,
    the first one is meant.

    Raises:
        LabError: There is none; names those that are meant perhaps, or all.
    """
    wanted = name.replace("-", "_")
    playable = [listed for listed in FAULTS if topology in (None, listed.topology)]
    named = [listed for listed in playable if wanted == listed.id]
    known = [*named, *(listed for listed in playable if wanted in listed.aliases)]
    if known:
        return known[0]
    where = f" in the topology {topology}" if topology else ""
    raise LabError(f"The lab has no fault {name}{where}", _suggestion(wanted, playable))


def find_fault(name: str) -> Fault:
    """The fault of the single lab with this id or alias.

    Raises:
        LabError: There is none; names those that are meant perhaps, or all.
    """
    return cast("Fault", _load(find_listed(name, "single")))


def find_ha_fault(name: str) -> HaFault:
    """The fault of the HA lab with this id or alias.

    Raises:
        LabError: There is none; names those that are meant perhaps, or all.
    """
    return cast("HaFault", _load(find_listed(name, "ha")))


def _suggestion(wanted: str, playable: Sequence[Listed]) -> str:
    names = [listed.id for listed in playable]
    near = difflib.get_close_matches(wanted, names, n=2)
    return f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(names)}"


def _load(listed: Listed) -> object:
    return importlib.import_module(f"kubelag.lab.faults.{listed.id}").FAULT
