"""Every fault of the HA lab acts, is seen to act, costs what it should, and is gone afterwards.

Each one is played once, and what was seen of it is looked at from several sides.
"""

import functools
import json
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ha_faults import Played, machine, play_fault, seen, switched_on
from kubelag.errors import LabError
from kubelag.lab.faults.registry import FAULTS, find_ha_fault
from kubelag.lab.ha import switches
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.switches import switch_off, switch_on

LISTED = [listed.id for listed in FAULTS if listed.topology == "ha"]
HARMLESS = ("nothing_ha", "proxy_working")
FAILING = ("server_unreachable", "proxy_dead", "websocket_refused")
"""Where the command cannot succeed; how long it takes to say so is measured all the same."""
CONTENT = {"narrow_line": "pod500", "connection_forgotten": "pod20", "vip_failover": "pod20"}
"""What the command prints in spite of the fault; the nodes, otherwise."""
NEED_OLD = ("incident_ha",)
FIRST, SECOND = "10.75.0.53", "10.75.0.54"
QUESTIONS: Mapping[str, Mapping[str, int]] = {
    "dns_slow": {FIRST: 1},
    "dns_dead_first": {FIRST: 1, SECOND: 1},
    "dns_aaaa_dropped": {FIRST: 1},
    "dns_search_list": {FIRST: 6},
    "dns_nxdomain_slow": {FIRST: 2},
    "dns_local_domain": {FIRST: 1},
}
"""Questions of each type for one connection, by name server."""
LEAST_S = {
    "dns_slow": 1.5,
    "dns_dead_first": 5.0,
    "dns_aaaa_dropped": 5.0,
    "dns_search_list": 1.0,
    "dns_nxdomain_slow": 2.0,
    "dns_local_domain": 2.0,
    "dead_first_address": 15.0,
    "proxy_dead": 4.0,
    "server_unreachable": 8.0,
    "proxy_slow_connect": 1.5,
    "tls_slow": 1.5,
    "api_queue": 3 * 0.4,
    "connection_forgotten": 5.0,
}
MOST_S = {"dead_first_address": 25.0, "proxy_dead": 20.0, "server_unreachable": 20.0}
REFUSED = r"curl: \(7\)"
SILENT = r"curl: \(28\)"
SECONDS = r"^real\s+\d+m"
SHOWN = {
    "nothing_ha": "ok",
    "incident_ha": SECONDS + r"0\.[3-9]",
    "dead_backend": REFUSED,
    "blackholed_backend": SILENT,
    "slow_backend": SECONDS + "1",
    "api_slow": SECONDS + r"0\.[3-9]",
    "api_429": "429 Too Many Requests",
    "apiservice_503": r"ServiceUnavailable[\s\S]*" + SECONDS + r"0\.[5-9]",
    "apiservice_hanging": r"ServiceUnavailable[\s\S]*" + SECONDS + "[12]",
    "apiservice_empty": r'"resources":\[\]',
    "authn_webhook_slow": SECONDS + r"0\.[4-9]",
    "api_queue": SECONDS + r"0\.[4-9]",
    "api_storage_slow": SECONDS + "[12]",
    "server_unreachable": SILENT,
    "tls_slow": SECONDS + "[12]",
    "http1_middlebox": "http/1.1$",
    "proxy_working": "ok",
    "proxy_dead": SILENT,
    "proxy_slow_connect": SECONDS + "[12]",
    "dns_slow": SECONDS + "[12]",
    "dns_dead_first": SECONDS + "[5-9]",
    "dns_search_list": SECONDS + "[12]",
    "dns_nxdomain_slow": SECONDS + "[23]",
    "dns_local_domain": SECONDS + "[23]",
    "dead_first_address": r"10\.75\.0\.9 [\s\S]*" + SILENT,
    "ipv6_blackhole": r"2001:db8:75::10[\s\S]*" + SILENT,
    "packet_loss": r"TcpRetransSegs +[1-9]",
    "long_way": r"time=(8|9|1\d)\d(\.\d)? ms",
    "narrow_line": SECONDS + "[2-9]",
    "mtu_black_hole": r" 0% packet loss[\s\S]* 100% packet loss",
    "vip_failover": r"10\.75\.0\.10 dev \S+ lladdr (\S+)[\s\S]*10\.75\.0\.10 dev \S+ lladdr (?!\1)",
    "connection_forgotten": r"^ESTAB .*:8443 ",
    "websocket_refused": "the lab lets no WebSocket through",
}
"""What the command prints that a user is told to type. Left out: that of `dns_aaaa_dropped` takes
15 s, since the C library is more patient than Go."""
TIMES = {"packet_loss": 3}
"""Chance spares a run now and then."""


@pytest.fixture(scope="module")
def played(ha: HaLab, request: pytest.FixtureRequest) -> Callable[[str], Played]:
    """Each fault, played when it is first wanted."""

    @functools.cache
    def play(name: str) -> Played:
        if name in NEED_OLD:
            request.getfixturevalue("old_kubectl")
        return play_fault(ha, name, is_typed=name in SHOWN, times=TIMES.get(name, 1))

    return play


@pytest.mark.parametrize("name", LISTED)
def test_it_has_its_own_file_and_says_what_it_shows_and_how_to_see_it(name: str) -> None:
    fault = find_ha_fault(name)
    assert fault.id == name
    assert bool(fault.expected) == (name not in HARMLESS)
    assert fault.how_to_see.startswith("kubelag lab exec ")


@pytest.mark.real
@pytest.mark.parametrize("name", LISTED)
def test_it_acts_and_costs_time_and_is_gone_afterwards(
    played: Callable[[str], Played], name: str
) -> None:
    seen_of = played(name)
    slow, fast_s = seen_of.slow, seen_of.fast_s
    figures = f"{name}: {slow.wall_s:.2f} s with, {fast_s:.2f} s without; {seen_of.told}"
    assert any(character.isdigit() for character in seen_of.told) or name == "websocket_refused"
    assert (slow.exit_code != 0) == (name in FAILING)
    assert name in FAILING or CONTENT.get(name, "node3") in slow.printed
    if name not in HARMLESS:
        assert slow.wall_s > 1.3 * fast_s, figures
        assert slow.wall_s > fast_s + 0.3, figures
        assert seen_of.seen_afterwards == ""
    assert LEAST_S.get(name, 0) < slow.wall_s < MOST_S.get(name, 120), figures
    assert seen_of.after == seen_of.before


@pytest.mark.real
@pytest.mark.parametrize("name", SHOWN)
def test_the_command_that_a_user_is_told_shows_it(
    played: Callable[[str], Played], name: str
) -> None:
    shown = played(name).shown
    if "not found" in shown:
        pytest.skip(shown.strip().splitlines()[-1])
    assert re.search(SHOWN[name], shown, re.MULTILINE), shown


@pytest.mark.real
@pytest.mark.parametrize("name", LISTED)
def test_it_goes_away_twice_and_when_whoever_made_it_has_died(
    ha: HaLab, name: str, request: pytest.FixtureRequest
) -> None:
    if name in NEED_OLD:
        request.getfixturevalue("old_kubectl")
    before, first = machine(ha), ha.ledger.mark()
    find_ha_fault(name).on(ha)
    ha.ledger.reap(range(first, ha.ledger.mark()))  # what a successor does before anything else
    for _ in range(2):
        find_ha_fault(name).off(ha)
    assert machine(ha) == before


@pytest.mark.real
@pytest.mark.parametrize("name", QUESTIONS)
def test_the_look_up_asks_whom_it_should(played: Callable[[str], Played], name: str) -> None:
    seen_of = played(name)
    expected = {
        f"{server} {kind}": count
        for server, count in QUESTIONS[name].items()
        for kind in ("A", "AAAA")
    }
    assert seen_of.slow.counted == expected
    assert all(f"{one} {count}" in seen_of.told for one, count in expected.items())
    assert seen_of.resolv_conf.startswith(f"nameserver {seen_of.component[0]}\n")


@pytest.mark.real
@pytest.mark.parametrize("name", ["dead_first_address", "ipv6_blackhole"])
def test_a_dead_address_is_dialled_in_vain(played: Callable[[str], Played], name: str) -> None:
    slow = played(name).slow
    assert slow.opened > slow.served > 0


@pytest.mark.real
@pytest.mark.parametrize("name", ["proxy_dead", "server_unreachable"])
def test_behind_a_dead_end_nobody_is_reached(played: Callable[[str], Played], name: str) -> None:
    assert played(name).slow.served == 0


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "counted"),
    [
        ("proxy_working", "tunnels"),
        ("proxy_slow_connect", "tunnels"),
        ("tls_slow", "connections"),
        ("http1_middlebox", "connections"),
    ],
)
def test_what_is_in_the_way_is_met_by_every_connection(
    played: Callable[[str], Played], name: str, counted: str
) -> None:
    slow = played(name).slow
    assert slow.counted[counted] >= slow.served > 0


@pytest.mark.real
def test_without_http2_a_cold_run_opens_dozens_of_connections(
    played: Callable[[str], Played],
) -> None:
    assert played("http1_middlebox").slow.served >= 40
    assert played("http1_middlebox").slow.counted["requests"] >= 79  # 77, /api or /apis, the nodes
    assert played("nothing_ha").slow.served < 8


@pytest.mark.real
def test_a_second_connection_replaces_a_forgotten_one_in_every_run(
    played: Callable[[str], Played],
) -> None:
    assert "needed 2 connections" in played("connection_forgotten").told
    assert played("connection_forgotten").slow.served == 2


@pytest.mark.real
def test_only_who_is_not_exempt_waits_in_the_queue(ha: HaLab) -> None:
    fault = find_ha_fault("api_queue")
    with switched_on(ha, fault):
        scene = fault.scene(ha)
        administrator = ha.run(*scene.command, environment=ha.environment())
        reader = Path(scene.environment["KUBECONFIG"]).read_text()
    assert administrator.returncode == 0
    assert "client-certificate-data" not in reader


@pytest.mark.real
def test_slow_storage_holds_up_a_list_and_not_one_from_memory(ha: HaLab) -> None:
    fault = find_ha_fault("api_storage_slow")
    took_s = []
    with switched_on(ha, fault):
        kubectl = fault.scene(ha).command[0]
        for path in ("/api/v1/nodes", "/api/v1/nodes?resourceVersion=0"):
            start_s = time.perf_counter()
            done = ha.run(kubectl, "get", "--raw", path)
            took_s.append(time.perf_counter() - start_s)
            assert len(json.loads(done.stdout)["items"]) == 3
    assert took_s[0] > 1.5 > took_s[1]


class HalfMade:
    """A fault that fails when half of it is there."""

    id = "half_made"
    expected = ()
    how_to_see = "kubelag lab exec -- true"
    problem: type[BaseException] = LabError

    def component(self, _ha: HaLab) -> tuple[str, ...]:
        return ()

    def on(self, ha: HaLab) -> None:
        ha.new_directory("half")
        ha.resolve(["192.0.2.1"])
        raise self.problem("half")

    def off(self, ha: HaLab) -> None:
        ha.resolve()

    def see(self, _ha: HaLab) -> str:
        return "seen"

    def scene(self, _ha: HaLab) -> None:
        raise NotImplementedError


@pytest.mark.real
@pytest.mark.parametrize("problem", [LabError, KeyboardInterrupt])
def test_a_fault_that_fails_half_way_is_taken_back(ha: HaLab, problem: type[BaseException]) -> None:
    fault, before = HalfMade(), machine(ha)
    fault.problem = problem
    with pytest.raises(problem):
        switch_on(ha, fault)
    assert switches.switched_on(ha.directory) is None
    assert machine(ha) == before


@pytest.mark.real
def test_a_second_fault_is_refused_until_the_first_is_off_and_off_is_twice_harmless(
    ha: HaLab,
) -> None:
    first, second = find_ha_fault("slow_backend"), find_ha_fault("api_slow")
    switch_on(ha, first)
    try:
        for fault in (first, second):
            with pytest.raises(LabError, match=r"slow_backend is on .*lab fault slow_backend off"):
                switch_on(ha, fault)
        assert not switch_off(ha, second)
        assert seen(ha, first)
    finally:
        assert switch_off(ha, first)
    assert not switch_off(ha, first)
