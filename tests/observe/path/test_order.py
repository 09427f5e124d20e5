"""The order in which a Go client dials the addresses of a name."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.observe.path.order import dial_order, source_by_kernel

V4, V4B, V6, V6B, ULA = "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "fd00::1"
SOURCES = {V4: "192.0.2.9", V4B: "192.0.2.9", V6: "2001:db8::9", V6B: "2001:db8::9", ULA: "fd00::9"}


@pytest.mark.parametrize(
    ("sources", "answered", "dialled"),
    [
        (SOURCES, (V4, V4B), (V4, V4B)),
        (SOURCES, (V4B, V4, V4B), (V4B, V4)),
        (SOURCES, (V4, V6), (V6, V4)),
        (SOURCES, (V4, ULA), (V4, ULA)),
        (SOURCES, (V4, ULA, V6), (V6, ULA, V4)),
        ({V4: "192.0.2.9"}, (V6, V4), (V4, V6)),
        ({}, (V6, V4), (V6, V4)),
        ({**SOURCES, V6: "fe80::9"}, (V6, V4), (V4, V6)),
        ({**SOURCES, V6: "2002::9"}, (V6, V4), (V4, V6)),
        ({}, (), ()),
        (SOURCES, (V4, V6, V4B, V6B), (V6, V6B, V4, V4B)),
    ],
    ids=[
        "one family keeps its order",
        "each once",
        "IPv6 where both are routed",
        "private IPv6 after IPv4",
        "own label first",
        "without IPv6 route",
        "without any route",
        "link-local source",
        "6to4 source",
        "none",
        "families one after the other",
    ],
)
def test_rules_decide(
    sources: Mapping[str, str], answered: tuple[str, ...], dialled: tuple[str, ...]
) -> None:
    assert dial_order(answered, sources.get) == dialled


def test_the_longest_common_prefix_decides_among_ipv6() -> None:
    near, far = "2001:db8:1::1", "2001:db8:ffff::1"
    assert dial_order((far, near), lambda _: "2001:db8:1::9") == (near, far)


def test_the_kernel_tells_our_own_address() -> None:
    assert source_by_kernel("127.0.0.1") == "127.0.0.1"
    assert source_by_kernel("nonsense") is None


@given(
    st.lists(st.ip_addresses().map(str)),
    st.dictionaries(st.ip_addresses().map(str), st.ip_addresses().map(str)),
)
def test_every_address_is_dialled_once_and_families_do_not_mix(
    answered: list[str], sources: dict[str, str]
) -> None:
    dialled = dial_order(answered, lambda one: sources.get(one, "::1"))
    assert sorted(dialled) == sorted(set(answered))
    families = [":" in one for one in dialled]
    assert families in (sorted(families), sorted(families, reverse=True))
