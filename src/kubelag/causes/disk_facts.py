"""What the cache's block device did meanwhile, for the causes that accuse it."""

from kubelag.causes.contract import Case
from kubelag.model.units import duration
from kubelag.model.verdict import Fact
from kubelag.timeline.rates import whole_disk_rate


def disk_facts(case: Case) -> tuple[Fact, ...]:
    """The device's write latency beside its load; nothing where there is none or it was idle."""
    cache = case.evidence.cache
    device = cache.device if cache else None
    rate = whole_disk_rate(case.evidence.host, device) if device else None
    if rate is None or rate.write_await_ms is None:
        return ()
    return (
        Fact(
            text=(
                f"{device} needed {duration(rate.write_await_ms / 1e3)} for a write (mean) while "
                f"it did {rate.iops:.0f} operations/s and {rate.write_bytes_per_s / 1e6:.2f} MB/s"
            ),
            observer="host",
        ),
    )
