"""The servers behind a port, by an HAProxy configuration."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.observe.path.haproxy_config import backends_behind
from kubelag.observe.path.places import split_place

SPLIT = """
global
    log /dev/log local0
    stats socket /run/haproxy/admin.sock mode 660
defaults
    mode tcp
    server nonsense 192.0.2.99:1
frontend stats
    bind *:9000
    default_backend other
frontend kube-apiserver   # the front
    bind 192.0.2.10:8443,[::]:8443 v4v6
    default_backend apiservers
backend apiservers
    balance roundrobin
    option tcp-check
    default-server inter 2s fall 3
    server master1 192.0.2.1:6443 check
    server master2 192.0.2.2:6443 check # server master9 192.0.2.9:6443
    # server master3 192.0.2.3:6443
    server "master 4" [2001:db8::4]:6443 check disabled
backend other
    server web 192.0.2.50:80
"""


def places(text: str, port: int = 8443) -> list[tuple[str, str]]:
    return [(one.name, one.address) for one in backends_behind(text, port)]


def test_a_frontend_leads_to_its_backend() -> None:
    assert places(SPLIT) == [
        ("master1", "192.0.2.1:6443"),
        ("master2", "192.0.2.2:6443"),
        ("master 4", "[2001:db8::4]:6443"),
    ]
    found = backends_behind(SPLIT, 8443)
    assert [one.state for one in found] == ["", "", "MAINT"]
    assert {one.source for one in found} == {"haproxy configuration"}


def test_another_port_leads_elsewhere() -> None:
    assert places(SPLIT, 9000) == [("web", "192.0.2.50:80")]
    assert places(SPLIT, 443) == []


@pytest.mark.parametrize(
    "bind",
    [
        "bind :8443",
        "bind *:8443 ssl crt /x.pem",
        "bind 0.0.0.0:8443",
        "bind [::]:8443",
        "bind :::8443",
        "bind ipv4@192.0.2.1:8443",
        "bind 192.0.2.1:80,192.0.2.1:8443",
        "bind 192.0.2.1:8440-8450",
        'bind "192.0.2.1:8443"',
        "bind ${VIP}:8443",
        "bind 192.0.2.1:80\n  bind 192.0.2.1:8443",
    ],
)
def test_every_form_of_bind_is_understood(bind: str) -> None:
    text = f"listen kube\n  {bind}\n  server a 192.0.2.1:6443\n"
    assert places(text) == [("a", "192.0.2.1:6443")]


@pytest.mark.parametrize("bind", ["bind /run/x.sock", "bind unix@/x:8443", "bind fd@3", "bind", ""])
def test_what_is_no_port_is_no_front(bind: str) -> None:
    assert places(f"listen kube\n  {bind}\n  server a 192.0.2.1:6443\n") == []


def test_an_old_listen_section_has_its_address_beside_its_name() -> None:
    assert places("listen kube 0.0.0.0:8443\n server a 192.0.2.1:6443\n") == [
        ("a", "192.0.2.1:6443")
    ]


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("192.0.2.1:6443", "192.0.2.1:6443"),
        ("[2001:db8::1]:6443", "[2001:db8::1]:6443"),
        ("ipv4@192.0.2.1:6443", "192.0.2.1:6443"),
        ("master1.example:6443", "master1.example:6443"),
        ("192.0.2.1", "192.0.2.1:8443"),
        ("192.0.2.1:+10", "192.0.2.1:8453"),
        ("192.0.2.1:-2000", "192.0.2.1:6443"),
        ("192.0.2.1:99999", ""),
        ("unix@/run/x", ""),
        ("/run/x", ""),
        ("$HOST:6443", ""),
        ("[2001:db8::1:6443", ""),
    ],
)
def test_every_form_of_a_servers_address_is_understood(written: str, address: str) -> None:
    text = f"listen kube\n bind :8443\n server a {written} check\n"
    assert [one.address for one in backends_behind(text, 8443)] == ([address] if address else [])


def test_every_backend_that_a_rule_may_choose_counts() -> None:
    text = """
frontend f
  bind :8443
  use_backend green if { src 192.0.2.0/24 }
  default_backend blue
backend blue
  server b 192.0.2.1:6443
backend green
  server g 192.0.2.2:6443
  server b 192.0.2.1:6443
"""
    assert places(text) == [("b", "192.0.2.1:6443"), ("g", "192.0.2.2:6443")]


PIECES = st.sampled_from(
    (
        *("listen", "frontend", "backend", "bind", "server", "use_backend", "default_backend"),
        *("a", "\n", ":8443", "192.0.2.1:6443", "[::1]:", "'", '"', "\\", "#", "x:1-65535"),
        *("ipv4@", "$", "disabled"),
    )
)


@given(st.lists(PIECES).map(" ".join) | st.text())
def test_any_text_gives_addresses_or_none(text: str) -> None:
    for backend in backends_behind(text, 8443):
        assert 0 < split_place(backend.address)[1] < 1 << 16
