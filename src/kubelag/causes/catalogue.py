"""All causes, one line each; third parties add theirs through the entry point `kubelag.causes`."""

from importlib.metadata import entry_points

from kubelag.causes.api_server_slow import ApiServerSlow
from kubelag.causes.cache_metadata_slow import CacheMetadataSlow
from kubelag.causes.cache_unwritable import CacheUnwritable
from kubelag.causes.contract import Cause
from kubelag.causes.cpu_contended import CpuContended
from kubelag.causes.cpu_throttled import CpuThrottled
from kubelag.causes.credential_plugin_slow import CredentialPluginSlow
from kubelag.causes.discovery_cache_fsync import DiscoveryCacheFsync
from kubelag.causes.memory_pressure import MemoryPressure

CAUSES: tuple[Cause, ...] = (
    DiscoveryCacheFsync(),
    CacheMetadataSlow(),
    CacheUnwritable(),
    CredentialPluginSlow(),
    ApiServerSlow(),
    CpuThrottled(),
    CpuContended(),
    MemoryPressure(),
)


def all_causes() -> tuple[Cause, ...]:
    """Ours, then those of installed packages."""
    others = (point.load()() for point in entry_points(group="kubelag.causes"))
    return (*CAUSES, *others)
