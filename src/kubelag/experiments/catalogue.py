"""All experiments, one line each."""

from kubelag.experiments.cache_on_memory import CacheOnMemory
from kubelag.experiments.cache_warm import CacheWarm
from kubelag.experiments.contract import Experiment
from kubelag.experiments.credential_static import CredentialStatic
from kubelag.experiments.fsync_suppressed import FsyncSuppressed
from kubelag.experiments.other_client import OtherClientInstead
from kubelag.experiments.own_client import OwnClientInstead
from kubelag.experiments.request_bare import RequestBare

EXPERIMENTS: tuple[Experiment, ...] = (
    FsyncSuppressed(),
    CacheOnMemory(),
    CacheWarm(),
    RequestBare(),
    OtherClientInstead(),
    OwnClientInstead(),
    CredentialStatic(),
)
