"""All causes, one line each; third parties add theirs through the entry point `kubelag.causes`."""

from importlib.metadata import entry_points

from kubelag.causes.address_dead import AddressDead
from kubelag.causes.api_server_slow import ApiServerSlow
from kubelag.causes.api_service_broken import ApiServiceBroken
from kubelag.causes.api_service_empty import ApiServiceEmpty
from kubelag.causes.authentication_slow import AuthenticationSlow
from kubelag.causes.backend_unwell import BackendUnwell
from kubelag.causes.bandwidth_narrow import BandwidthNarrow
from kubelag.causes.cache_metadata_slow import CacheMetadataSlow
from kubelag.causes.cache_unwritable import CacheUnwritable
from kubelag.causes.connection_died import ConnectionDied
from kubelag.causes.contract import Cause
from kubelag.causes.cpu_contended import CpuContended
from kubelag.causes.cpu_throttled import CpuThrottled
from kubelag.causes.credential_plugin_slow import CredentialPluginSlow
from kubelag.causes.discovery_cache_fsync import DiscoveryCacheFsync
from kubelag.causes.http1_only import Http1Only
from kubelag.causes.ipv6_unreachable import Ipv6Unreachable
from kubelag.causes.large_packets_vanish import LargePacketsVanish
from kubelag.causes.memory_pressure import MemoryPressure
from kubelag.causes.name_local_domain import NameLocalDomain
from kubelag.causes.name_search_list import NameSearchList
from kubelag.causes.name_server_dead import NameServerDead
from kubelag.causes.name_server_slow import NameServerSlow
from kubelag.causes.name_type_unanswered import NameTypeUnanswered
from kubelag.causes.packet_loss import PacketLoss
from kubelag.causes.proxy_slow import ProxySlow
from kubelag.causes.requests_queued import RequestsQueued
from kubelag.causes.round_trips_long import RoundTripsLong
from kubelag.causes.server_pushback import ServerPushback
from kubelag.causes.server_unreachable import ServerUnreachable
from kubelag.causes.storage_slow import StorageSlow
from kubelag.causes.tls_slow import TlsSlow
from kubelag.causes.virtual_address_moved import VirtualAddressMoved
from kubelag.causes.websocket_fallback import WebsocketFallback

NETWORK_CAUSES: tuple[Cause, ...] = (
    NameServerDead(),
    NameServerSlow(),
    NameTypeUnanswered(),
    NameSearchList(),
    NameLocalDomain(),
    AddressDead(),
    Ipv6Unreachable(),
    ServerUnreachable(),
    ProxySlow(),
    PacketLoss(),
    LargePacketsVanish(),
    RoundTripsLong(),
    BandwidthNarrow(),
    VirtualAddressMoved(),
    BackendUnwell(),
    TlsSlow(),
    Http1Only(),
    ConnectionDied(),
)
"""Those on the way to the server, from its name on: a packet capture alone can tell of them."""

CAUSES: tuple[Cause, ...] = (
    DiscoveryCacheFsync(),
    CacheMetadataSlow(),
    CacheUnwritable(),
    CredentialPluginSlow(),
    *NETWORK_CAUSES,
    WebsocketFallback(),
    AuthenticationSlow(),
    RequestsQueued(),
    StorageSlow(),
    ServerPushback(),
    ApiServiceBroken(),
    ApiServiceEmpty(),
    ApiServerSlow(),
    CpuThrottled(),
    CpuContended(),
    MemoryPressure(),
)


def all_causes() -> tuple[Cause, ...]:
    """Ours, then those of installed packages."""
    others = (point.load()() for point in entry_points(group="kubelag.causes"))
    return (*CAUSES, *others)
