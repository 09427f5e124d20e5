"""Where kubectl keeps its cache, by its own rules (checked against 1.20.2 and 1.33.1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.kube.cache.layout import cache_root, host_directory, http_name, ttl_s
from kubelag.kube.versions import Version


@pytest.mark.parametrize(
    ("flag", "env", "version", "expected"),
    [
        ("/c", {"HOME": "/h", "KUBECACHEDIR": "/k"}, "1.33.1", ("/c", "--cache-dir")),
        ("c", {"HOME": "/h"}, "1.20.2", ("/here/c", "--cache-dir")),
        (None, {"HOME": "/h", "KUBECACHEDIR": "/k"}, "1.25.0", ("/k", "KUBECACHEDIR")),
        (None, {"HOME": "/h", "KUBECACHEDIR": "k"}, "1.33.1", ("/here/k", "KUBECACHEDIR")),
        (None, {"HOME": "/h", "KUBECACHEDIR": "/k"}, "1.24.17", ("/h/.kube/cache", "HOME")),
        (None, {"HOME": "/h", "KUBECACHEDIR": "/k"}, None, ("/k", "KUBECACHEDIR")),
        (None, {"HOME": "/h"}, "1.20.2", ("/h/.kube/cache", "HOME")),
        (None, {}, "1.33.1", ("/here/.kube/cache", "working directory")),
        (None, {"HOME": ""}, "1.20.2", ("/here/.kube/cache", "working directory")),
        ("", {"HOME": "/h"}, "1.20.2", ("/here", "--cache-dir")),
        ("", {"HOME": "/h"}, "1.33.1", ("/h/.kube/cache", "HOME")),
    ],
)
def test_the_root_follows_kubectls_rule(
    flag: str | None, env: dict[str, str], version: str | None, expected: tuple[str, str]
) -> None:
    assert cache_root(flag, env, version, "/here") == expected


@pytest.mark.parametrize(
    ("server", "name"),
    [
        ("https://127.0.0.1:6443", "127.0.0.1_6443"),
        ("http://127.0.0.1:6443/", "127.0.0.1_6443"),
        ("https://lb.example.com/k8s/clusters/c-1", "lb.example.com/k8s/clusters/c_1"),
        ("http://127.0.0.1:1?x=1", "127.0.0.1_1_x_1"),
        ("HTTP://127.0.0.1:1", "HTTP_/127.0.0.1_1"),
        ("https://[::1]:6443", "___1__6443"),
        ("https://h/(é)", "h/(_)"),
    ],
)
def test_the_host_directory_is_named_after_the_server(server: str, name: str) -> None:
    assert host_directory("/c", server) == f"/c/discovery/{name}"


@given(st.text(max_size=40))
def test_only_safe_characters_reach_the_file_system(server: str) -> None:
    name = host_directory("/c", server)
    assert all(char.isascii() and (char.isalnum() or char in "_/().") for char in name)


def test_entries_live_ten_minutes_up_to_1_23_and_six_hours_since() -> None:
    assert [ttl_s(version) for version in ("1.20.2", "1.23.17", "1.24.0", None)] == [
        600,
        600,
        21600,
        21600,
    ]


def test_responses_are_named_by_a_digest_of_their_url() -> None:
    url = "http://127.0.0.1:18204/api?timeout=32s"
    sha = "0913300b70ab500dd1b195e64e15d78a61bde3e2b7d3edbfc8840fc99fd8796e"
    assert http_name(url, Version(1, 20, 2)) == "ce55baa441586e6af1b54aa9b93e1cab"
    assert http_name(url, Version(1, 33, 1)) == sha
