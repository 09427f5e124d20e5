"""resolv.conf, /etc/hosts and search lists, as Go's own resolver reads them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.model.path import Resolver
from kubelag.observe.path.resolver import (
    default_search,
    names_to_ask,
    parse_hosts,
    parse_resolv_conf,
    read_resolver,
)

FULL = """
# a comment
; another
nameserver 192.0.2.1
nameserver not-an-address
nameserver 2001:db8::53
nameserver 192.0.2.3
nameserver 192.0.2.4
domain old.example
search one.example two.example. .
options ndots:5 timeout:2 attempts:3 rotate edns0
"""


def test_everything_that_counts_is_read() -> None:
    assert parse_resolv_conf(FULL) == Resolver(
        servers=("192.0.2.1:53", "[2001:db8::53]:53", "192.0.2.3:53"),
        search=("one.example", "two.example"),
        ndots=5,
        timeout_s=2.0,
        attempts=3,
    )


def test_an_empty_file_has_the_usual_settings() -> None:
    assert parse_resolv_conf("", ("corp.example",)) == Resolver(
        servers=("127.0.0.1:53", "[::1]:53"), search=("corp.example",)
    )


@pytest.mark.parametrize(
    ("text", "search"),
    [
        ("search a.example\ndomain b.example", ("b.example",)),
        ("domain b.example\nsearch a.example", ("a.example",)),
        ("search", ()),
        ("domain", ("usual.example",)),
    ],
)
def test_the_last_of_domain_and_search_counts(text: str, search: tuple[str, ...]) -> None:
    assert parse_resolv_conf(text, ("usual.example",)).search == search


@pytest.mark.parametrize(
    ("options", "ndots", "timeout_s", "attempts"),
    [
        ("ndots:99 timeout:0 attempts:0", 15, 1.0, 1),
        ("ndots:x timeout:-1 attempts:", 0, 1.0, 1),
        ("ndots:2 ndots:3", 3, 5.0, 2),
        ("rotate single-request", 1, 5.0, 2),
    ],
)
def test_options_are_bounded_as_in_go(
    options: str, ndots: int, timeout_s: float, attempts: int
) -> None:
    read = parse_resolv_conf(f"options {options}")
    assert (read.ndots, read.timeout_s, read.attempts) == (ndots, timeout_s, attempts)


@pytest.mark.parametrize(
    ("hostname", "search"),
    [("node.corp.example", ("corp.example",)), ("node", ()), ("node.", ())],
)
def test_the_machines_own_domain_is_searched(hostname: str, search: tuple[str, ...]) -> None:
    assert default_search(hostname) == search


def test_the_hosts_file_gives_every_address_of_a_name_once() -> None:
    text = "192.0.2.9 api.example API\n::1 api # x\n192.0.2.9 api\nnonsense api\n# 192.0.2.8 api\n"
    assert parse_hosts(text, "Api.") == ("192.0.2.9", "::1")
    assert parse_hosts(text, "x") == ()


SEARCHING = Resolver(servers=("192.0.2.1:53",), search=("a.example", "b.example"), ndots=2)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("api", [("api.a.example.", True), ("api.b.example.", True), ("api.", False)]),
        ("api.x", [("api.x.a.example.", True), ("api.x.b.example.", True), ("api.x.", False)]),
        (
            "api.x.y",
            [("api.x.y.", False), ("api.x.y.a.example.", True), ("api.x.y.b.example.", True)],
        ),
        ("api.", [("api.", False)]),
        ("hidden.onion", []),
        (f"{'a' * 250}.b.c", [(f"{'a' * 250}.b.c.", False)]),
        ("a" * 300, []),
    ],
)
def test_names_are_asked_for_in_gos_order(name: str, asked: list[tuple[str, bool]]) -> None:
    wanted = [one for one in asked if len(one[0]) <= 254]
    assert list(names_to_ask(name, SEARCHING)) == wanted


def test_files_are_read_and_a_missing_one_is_empty(tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 192.0.2.1\nsearch x.example")
    (tmp_path / "hosts").write_text("192.0.2.9 api")
    read = read_resolver(tmp_path / "resolv.conf", tmp_path / "hosts", "api")
    assert (read.servers, read.hosts_file) == (("192.0.2.1:53",), ("192.0.2.9",))
    assert read.source == str(tmp_path / "resolv.conf")
    lost = read_resolver(tmp_path / "none", tmp_path / "none", "api")
    assert (lost.servers[0], lost.hosts_file) == ("127.0.0.1:53", ())


@given(st.text(), st.text(max_size=20))
def test_any_text_is_some_resolver(text: str, name: str) -> None:
    read = parse_resolv_conf(text)
    assert 1 <= len(read.servers) <= 3
    assert 0 <= read.ndots <= 15
    parse_hosts(text, name)
    names_to_ask(name, read)


@given(
    st.lists(
        st.sampled_from(
            ["nameserver 192.0.2.1", "search a b", "options ndots:3 timeout:x", "domain"]
        )
    )
)
def test_lines_in_any_order_are_some_resolver(lines: list[str]) -> None:
    read = parse_resolv_conf("\n".join(lines))
    assert read.timeout_s >= 1
    assert read.search in {(), ("a", "b")}
