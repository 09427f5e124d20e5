"""Questions to name servers: each one for itself, and what each answers."""

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.model.path import Resolver
from kubelag.observe.path.questions import Question, _parsed, addresses_in, ask, ask_all

NameServers = Callable[..., Any]
ZONE = {"api.example": ("192.0.2.1", "192.0.2.2", "2001:db8::1"), "v4.example": ("192.0.2.4",)}


def resolver(*servers: str, **more: Any) -> Resolver:
    return Resolver(servers=servers, **{"timeout_s": 1.0, **more})


def test_both_questions_go_to_every_server(name_server: NameServers) -> None:
    one, other = name_server(ZONE), name_server({"api.example": ("192.0.2.9",)})
    probes = ask_all("api.example", resolver(one.place, other.place))
    assert [(probe.server, probe.kind, probe.code, probe.addresses) for probe in probes] == [
        (one.place, "A", "NOERROR", ("192.0.2.1", "192.0.2.2")),
        (one.place, "AAAA", "NOERROR", ("2001:db8::1",)),
        (other.place, "A", "NOERROR", ("192.0.2.9",)),
        (other.place, "AAAA", "NOERROR", ()),
    ]
    assert all(probe.took_ns > 0 for probe in probes)
    assert sorted(one.asked) == [("api.example", "A"), ("api.example", "AAAA")]


def test_the_search_list_is_followed_to_the_first_name_that_exists(
    name_server: NameServers,
) -> None:
    server = name_server({"api.two.example": ("192.0.2.7",)})
    searching = resolver(server.place, search=("one.example", "two.example", "three.example"))
    probes = ask_all("api", searching)
    assert [(one.name, one.kind, one.code, one.is_searched) for one in probes] == [
        ("api.one.example", "A", "NXDOMAIN", True),
        ("api.one.example", "AAAA", "NXDOMAIN", True),
        ("api.two.example", "A", "NOERROR", True),
        ("api.two.example", "AAAA", "NOERROR", True),
    ]


def test_a_dead_server_costs_one_limit_and_holds_up_nobody(
    name_server: NameServers, silence: Callable[..., int]
) -> None:
    dead = f"127.0.0.1:{silence(socket.SOCK_DGRAM)}"
    live = name_server(ZONE)
    began = time.monotonic()
    probes = ask_all("v4.example", resolver(dead, live.place, search=("a.example", "b.example")))
    assert time.monotonic() - began < 5 * 1.0
    silent = [one for one in probes if one.server == dead]
    assert [(one.name, one.kind, one.code) for one in silent] == [
        ("v4.example", "A", "timeout"),
        ("v4.example", "AAAA", "timeout"),
    ]
    assert all(one.took_ns >= 1e9 for one in silent)
    assert [one.code for one in probes if one.server == live.place] == ["NOERROR", "NOERROR"]


def test_a_server_that_drops_aaaa_is_told_from_a_dead_one(name_server: NameServers) -> None:
    server = name_server(ZONE, drops=("AAAA",))
    codes = [(one.kind, one.code) for one in ask_all("v4.example", resolver(server.place))]
    assert codes == [("A", "NOERROR"), ("AAAA", "timeout")]


def test_a_port_where_nobody_listens_refuses(free_port: Callable[[], int]) -> None:
    probes = ask_all("api.example", resolver(f"127.0.0.1:{free_port()}"))
    assert {one.code for one in probes} == {"refused"}


def test_a_server_that_fails_says_so(name_server: NameServers) -> None:
    server = name_server(ZONE, fails=True)
    assert {one.code for one in ask_all("v4.example", resolver(server.place))} == {"SERVFAIL"}


def test_an_answer_that_was_cut_short_is_asked_for_over_tcp(name_server: NameServers) -> None:
    server = name_server(ZONE, is_cut=True)
    question = Question(name="api.example.", kind="A", server=server.place)
    assert ask(question, 2.0).addresses == ("192.0.2.1", "192.0.2.2")
    assert server.asked == [("api.example", "A")] * 2


def test_aliases_are_followed_and_circles_are_not() -> None:
    query = dns.message.make_query("a.example.", "A")
    answer = dns.message.make_response(query)
    text = "a.example. 1 IN CNAME b.example.\nb.example. 1 IN A 192.0.2.5"
    answer.answer = dns.message.from_text(f"id 1\n;ANSWER\n{text}\n").answer
    assert addresses_in(answer, "A") == ("192.0.2.5",)
    assert addresses_in(answer, "AAAA") == ()
    circle = "a.example. 1 IN CNAME b.example.\nb.example. 1 IN CNAME a.example."
    answer.answer = dns.message.from_text(f"id 1\n;ANSWER\n{circle}\n").answer
    assert addresses_in(answer, "A") == ()


def test_somebody_elses_answer_does_not_count() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as liar:
        liar.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{liar.getsockname()[1]}"

        def lie() -> None:
            data, peer = liar.recvfrom(4096)
            other = dns.message.make_query("other.example.", "A")
            liar.sendto(b"\xff\xff" + data[2:], peer)
            liar.sendto(dns.message.make_response(other).to_wire(), peer)
            liar.sendto(b"rubbish", peer)

        thread = threading.Thread(target=lie)
        thread.start()
        probe = ask(Question(name="api.example.", kind="A", server=place), 0.5)
        thread.join()
    assert (probe.code, probe.addresses) == ("timeout", ())


@pytest.mark.parametrize("name", ["a" * 70 + ".example", "bad..name", "", "ü.example"])
def test_a_name_that_can_be_none_is_no_crash(name: str, free_port: Callable[[], int]) -> None:
    for probe in ask_all(name, resolver(f"127.0.0.1:{free_port()}")):
        assert probe.code.startswith(("error", "refused"))


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_none(data: bytes) -> None:
    answer = _parsed(data)
    if answer is not None:
        addresses_in(answer, "A")
