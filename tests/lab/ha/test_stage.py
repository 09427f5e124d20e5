"""What a fault's scene needs besides its trouble comes and goes by itself."""

import pytest

from ha_faults import machine
from kubelag.errors import LabError
from kubelag.lab.faults.registry import find_ha_fault
from kubelag.lab.faults.vip_failover import LATENCY_S
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.switches import on_stage, switch_on, switched_on
from kubelag.lab.ha.timing import raw

pytestmark = pytest.mark.real


def test_a_stage_is_set_without_its_trouble_and_is_taken_back(ha: HaLab) -> None:
    fault, before, owner = find_ha_fault("vip_failover"), machine(ha), ha.wait_owner()
    with on_stage(ha, fault):
        with pytest.raises(LabError, match=r"vip_failover is on .*lab fault vip_failover off"):
            switch_on(ha, fault)
        assert raw(ha, "/version")[0] > LATENCY_S
        assert ha.wait_owner() == owner
    assert switched_on(ha.directory) is None
    assert raw(ha, "/version")[0] < LATENCY_S
    assert machine(ha) == before


def test_a_fault_that_needs_none_changes_nothing(ha: HaLab) -> None:
    before = machine(ha)
    with on_stage(ha, find_ha_fault("api_slow")):
        assert switched_on(ha.directory) is None
        assert machine(ha) == before
