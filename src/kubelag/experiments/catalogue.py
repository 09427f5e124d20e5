"""All experiments, one line each."""

from kubelag.experiments.address_literal import AddressLiteral
from kubelag.experiments.bypass_proxy import BypassProxy
from kubelag.experiments.bypass_vip import BypassVip
from kubelag.experiments.cache_on_memory import CacheOnMemory
from kubelag.experiments.cache_warm import CacheWarm
from kubelag.experiments.contract import Kind
from kubelag.experiments.credential_static import CredentialStatic
from kubelag.experiments.delay_response import DelayResponse
from kubelag.experiments.direct_backend import DirectBackend
from kubelag.experiments.discovery_stubbed import DiscoveryStubbed
from kubelag.experiments.fsync_suppressed import FsyncSuppressed
from kubelag.experiments.http1_only import Http1Only
from kubelag.experiments.ipv4_only import Ipv4Only
from kubelag.experiments.ipv6_only import Ipv6Only
from kubelag.experiments.other_client import OtherClientInstead
from kubelag.experiments.own_client import OwnClientInstead
from kubelag.experiments.request_bare import RequestBare
from kubelag.experiments.small_segments import SmallSegments

EXPERIMENTS: tuple[Kind, ...] = (
    FsyncSuppressed(),
    CacheOnMemory(),
    CacheWarm(),
    RequestBare(),
    OtherClientInstead(),
    OwnClientInstead(),
    CredentialStatic(),
    DirectBackend(),
    BypassVip(),
    BypassProxy(),
    AddressLiteral(),
    Ipv4Only(),
    Ipv6Only(),
    Http1Only(),
    SmallSegments(),
    DelayResponse(),
    DiscoveryStubbed(),
)
