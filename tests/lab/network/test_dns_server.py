"""Name servers, asked by dnspython (which shares no code with them) and by a real kubectl."""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.errors import LabError
from kubelag.lab.network.dns_answers import Zone, udp_limit_bytes
from kubelag.lab.network.dns_server import DNS, DnsSettings, NameServer, Records
from kubelag.lab.network.namespaces import Namespace, make_namespace, why_no_namespaces
from kubelag.lab.network.served import Home, Served, start
from kubelag.lab.processes import TOKEN_VARIABLE, find_marked
from kubelag.lab.state import Ledger
from kubelag.lab.waiting import wait_until

NEVER_S = 300.0
"""A delay that no test waits for."""
SHORT_S = 0.2
"""How long an answer is waited for that does not come; too short can only hide a failure."""
FIRST, SECOND, SIXTH = "127.0.0.1", "127.0.0.2", "::1"
API = Records(a=("10.0.0.3", "10.0.0.1", "10.0.0.2"), aaaa=("fd00::2", "fd00::1"))
RECORDS = {"API.lab.example.": API, "plain.lab.example": Records(a=("10.0.0.9",))}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served[DnsSettings]]:
    token = f"test-dns-{os.getpid()}"
    home = Home(
        directory=tmp_path_factory.mktemp("servers") / "dns",
        addresses=(FIRST, SECOND, SIXTH),
        port=0,
        mark={TOKEN_VARIABLE: token},
    )
    served = start(DNS, home, DnsSettings())
    try:
        yield served
        assert served.is_running()
        assert served.log.read_text() == ""
    finally:
        served.stop()
    assert find_marked(token) == ()


@pytest.fixture
def dns_server(server: Served[DnsSettings]) -> Served[DnsSettings]:
    """The server, in its plain state."""
    behave(server)
    return server


def behave(server: Served[DnsSettings], **servers: NameServer) -> None:
    """Give name servers a behaviour: first, second, sixth."""
    addresses = {"first": FIRST, "second": SECOND, "sixth": SIXTH}
    by_address = {addresses[name]: one for name, one in servers.items()}
    server.reconfigure(DnsSettings(records=RECORDS, servers=by_address))


def ask(
    server: Served[DnsSettings],
    name: str = "api.lab.example",
    kind: str = "A",
    *,
    at: str = FIRST,
    tcp: bool = False,
    timeout_s: float = 30.0,
) -> dns.message.Message:
    """One question, and its answer."""
    question = dns.message.make_query(name, kind)
    way = dns.query.tcp if tcp else dns.query.udp
    return way(question, at, port=server.port, timeout=timeout_s)


def addresses_in(answer: dns.message.Message) -> list[str]:
    return [item.to_text() for answers in answer.answer for item in answers]


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize("at", [FIRST, SECOND, SIXTH])
def test_addresses_come_in_their_order_on_every_address(
    dns_server: Served[DnsSettings], at: str, tcp: bool
) -> None:
    answer = ask(dns_server, at=at, tcp=tcp)
    assert addresses_in(answer) == list(API.a)
    assert addresses_in(ask(dns_server, kind="AAAA", at=at, tcp=tcp)) == list(API.aaaa)
    assert answer.flags & (dns.flags.AA | dns.flags.RA)


def test_upper_and_lower_case_make_no_difference(dns_server: Served[DnsSettings]) -> None:
    assert addresses_in(ask(dns_server, "aPi.LAB.exaMple")) == list(API.a)


def test_a_type_that_a_name_has_not_is_no_data(dns_server: Served[DnsSettings]) -> None:
    for kind in ("TXT", "MX", "HTTPS", "ANY"):
        answer = ask(dns_server, kind=kind)
        assert answer.rcode() == dns.rcode.NOERROR
        assert not answer.answer
    assert not addresses_in(ask(dns_server, "plain.lab.example", "AAAA"))


def test_an_unknown_name_does_not_exist(dns_server: Served[DnsSettings]) -> None:
    assert ask(dns_server, "other.example").rcode() == dns.rcode.NXDOMAIN


def test_edns_is_answered_only_where_it_was_asked(dns_server: Served[DnsSettings]) -> None:
    for edns in (-1, 0):
        question = dns.message.make_query("api.lab.example", "A", use_edns=edns)
        answer = dns.query.udp(question, FIRST, port=dns_server.port, timeout=30)
        assert answer.edns == edns


def test_an_answer_that_is_too_long_is_fetched_by_tcp(dns_server: Served[DnsSettings]) -> None:
    many = Records(a=tuple(f"10.1.0.{number}" for number in range(200)))
    dns_server.reconfigure(DnsSettings(records={"many.example": many}))
    short = ask(dns_server, "many.example")
    assert short.flags & dns.flags.TC
    assert not short.answer
    assert addresses_in(ask(dns_server, "many.example", tcp=True)) == list(many.a)
    question = dns.message.make_query("many.example", "A", use_edns=0, payload=4096)
    wide = dns.query.udp(question, FIRST, port=dns_server.port, timeout=30)
    assert addresses_in(wide) == list(many.a)


@pytest.mark.parametrize("tcp", [False, True])
def test_a_silent_server_never_answers_and_the_others_do(
    dns_server: Served[DnsSettings], tcp: bool
) -> None:
    behave(dns_server, first=NameServer(silent=True))
    with pytest.raises(dns.exception.Timeout):
        ask(dns_server, tcp=tcp, timeout_s=SHORT_S)
    assert addresses_in(ask(dns_server, at=SECOND, tcp=tcp)) == list(API.a)
    behave(dns_server)
    assert addresses_in(ask(dns_server, tcp=tcp)) == list(API.a)


def test_a_refusing_server_refuses_what_it_knows(dns_server: Served[DnsSettings]) -> None:
    behave(dns_server, sixth=NameServer(refused=True, delay_s=NEVER_S))
    assert ask(dns_server, at=SIXTH).rcode() == dns.rcode.REFUSED
    assert ask(dns_server).rcode() == dns.rcode.NOERROR


def test_dropped_questions_are_counted_and_not_answered(
    dns_server: Served[DnsSettings],
) -> None:
    behave(dns_server, second=NameServer(dropped_types=("AAAA",)))
    before = dns_server.counts.get(f"{SECOND} AAAA", 0)
    with pytest.raises(dns.exception.Timeout):
        ask(dns_server, kind="AAAA", at=SECOND, timeout_s=SHORT_S)
    assert addresses_in(ask(dns_server, at=SECOND)) == list(API.a)
    wait_until(
        lambda: dns_server.counts.get(f"{SECOND} AAAA", 0) == before + 1,
        timeout_s=30,
        problem="The question was not counted",
    )


@pytest.mark.parametrize(
    ("slow", "name", "kind"),
    [
        (NameServer(delay_s=0.3), "api.lab.example", "A"),
        (NameServer(delay_by_type_s={"AAAA": 0.3}), "api.lab.example", "AAAA"),
        (NameServer(delay_unknown_s=0.3), "api.lab.example.lab.example", "A"),
        (NameServer(delay_s=0.1, delay_unknown_s=0.2), "nobody", "A"),
    ],
)
@pytest.mark.parametrize("tcp", [False, True])
def test_a_delay_is_waited_for(
    dns_server: Served[DnsSettings], slow: NameServer, name: str, kind: str, tcp: bool
) -> None:
    behave(dns_server, first=slow)
    start_s = time.monotonic()
    ask(dns_server, name, kind, tcp=tcp)
    assert time.monotonic() - start_s >= 0.3


def test_a_delayed_answer_holds_up_no_other(dns_server: Served[DnsSettings]) -> None:
    behave(
        dns_server,
        first=NameServer(delay_by_type_s={"AAAA": NEVER_S}, delay_unknown_s=NEVER_S),
    )
    slow = [dns.message.make_query("api.lab.example", "AAAA"), dns.message.make_query("x", "A")]
    fast = dns.message.make_query("api.lab.example", "A")
    with socket.create_connection((FIRST, dns_server.port), timeout=30) as line:
        for question in (*slow, fast):
            dns.query.send_tcp(line, question)
        answer, _ = dns.query.receive_tcp(line, time.time() + 30)
    assert answer.id == fast.id


def test_sixty_clients_are_answered_at_once(dns_server: Served[DnsSettings]) -> None:
    behave(dns_server, first=NameServer(delay_s=SHORT_S))
    answers: list[list[str]] = []
    askers = [
        threading.Thread(
            target=lambda tcp=number % 2: answers.append(
                addresses_in(ask(dns_server, tcp=bool(tcp)))
            )
        )
        for number in range(60)
    ]
    for one in askers:
        one.start()
    for one in askers:
        one.join()
    assert answers == [list(API.a)] * 60


def test_a_server_that_does_not_exist_cannot_misbehave(dns_server: Served[DnsSettings]) -> None:
    with pytest.raises(LabError, match=r"No name server has the address 192\.0\.2\.1; choose"):
        dns_server.reconfigure(DnsSettings(servers={"192.0.2.1": NameServer(silent=True)}))
    assert addresses_in(ask(dns_server)) == list(API.a)


@given(data=st.binary(max_size=600))
def test_noise_never_harms(data: bytes) -> None:
    answer = Zone(DnsSettings(records=RECORDS)).answer(data, NameServer())
    assert len(answer.packed(udp_limit_bytes(data))) <= 65535


@given(
    position=st.integers(0, 60),
    value=st.integers(0, 255),
    cut=st.integers(1, 80),
    edns=st.booleans(),
)
def test_a_damaged_question_never_harms(position: int, value: int, cut: int, edns: bool) -> None:
    wire = bytearray(dns.message.make_query("api.lab.example", "A", use_edns=edns).to_wire())
    wire[position % len(wire)] = value
    answer = Zone(DnsSettings(records=RECORDS)).answer(bytes(wire[:cut]), NameServer())
    assert len(answer.packed(512)) <= 512


def test_an_answer_is_not_answered() -> None:
    """Two name servers that answer each other would never end."""
    reply = dns.message.make_response(dns.message.make_query("api.lab.example", "A"))
    answer = Zone(DnsSettings(records=RECORDS)).answer(reply.to_wire(), NameServer())
    assert answer.message is None


@pytest.mark.parametrize("noise", [b"", b"\0", b"\xff" * 40, b"GET / HTTP/1.1\r\n\r\n" * 400])
def test_noise_on_the_wire_never_ends_a_server(
    dns_server: Served[DnsSettings], noise: bytes
) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as line:
        line.sendto(noise, (FIRST, dns_server.port))
    with socket.create_connection((FIRST, dns_server.port), timeout=30) as line:
        line.sendall(noise)
    assert addresses_in(ask(dns_server)) == list(API.a)
    assert addresses_in(ask(dns_server, tcp=True)) == list(API.a)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Namespace]:
    if why := why_no_namespaces():
        pytest.skip(why)
    with Ledger.open(tmp_path / "state") as ledger:
        yield make_namespace(ledger, f"klsrv-dns-{os.getpid()}")


@pytest.fixture
def on_host(host: Namespace, tmp_path: Path) -> Iterator[Served[DnsSettings]]:
    """Two name servers on port 53 of a host of their own, and its resolv.conf."""
    (tmp_path / "resolv.conf").write_text(
        f"nameserver {FIRST}\nnameserver {SECOND}\noptions timeout:1 attempts:1\n"
    )
    home = Home(
        directory=tmp_path / "dns", addresses=(FIRST, SECOND), port=53, mark={}, namespace=host
    )
    served = start(DNS, home, DnsSettings(records={"api.lab.example": Records(a=("127.0.0.9",))}))
    yield served
    served.stop()


@pytest.mark.real
def test_the_c_librarys_resolver_is_served_on_a_host(
    host: Namespace, on_host: Served[DnsSettings], tmp_path: Path
) -> None:
    files = {"/etc/resolv.conf": tmp_path / "resolv.conf"}
    found = host.argv(("getent", "ahosts", "api.lab.example"), files)
    words = subprocess.run(found, capture_output=True, text=True, check=True, timeout=60).stdout
    assert words.split()[0] == "127.0.0.9"
    assert on_host.port == 53


@pytest.mark.real
def test_a_real_kubectl_asks_a_dead_server_and_then_the_next(
    host: Namespace, on_host: Served[DnsSettings], new_kubectl: Path, tmp_path: Path
) -> None:
    on_host.reconfigure(
        DnsSettings(records=on_host.settings.records, servers={FIRST: NameServer(silent=True)})
    )
    command = (
        str(new_kubectl),
        "--kubeconfig=/dev/null",
        "--server=http://api.lab.example:9",
        "--request-timeout=20s",
        "get",
        "--raw=/version",
    )
    argv = host.argv(command, {"/etc/resolv.conf": tmp_path / "resolv.conf"})
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, timeout=60, env=environment
    )
    assert "was refused" in done.stderr  # it was told an address, where nobody serves
    wait_until(
        lambda: {f"{FIRST} A", f"{SECOND} A"} <= on_host.counts.keys(),
        timeout_s=30,
        problem="kubectl did not ask both servers",
    )
