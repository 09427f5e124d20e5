"""URLs of servers and proxies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.errors import KubeconfigError
from kubelag.kube.transport.endpoint import Endpoint, parse_endpoint


@pytest.mark.parametrize(
    ("url", "expected", "authority"),
    [
        ("https://api.example.com", ("https", "api.example.com", 443, ""), "api.example.com"),
        ("https://api:6443/", ("https", "api", 6443, ""), "api:6443"),
        ("HTTPS://api:443/k8s/c/", ("https", "api", 443, "/k8s/c"), "api"),
        ("http://127.0.0.1:8001", ("http", "127.0.0.1", 8001, ""), "127.0.0.1:8001"),
        ("api:8080", ("http", "api", 8080, ""), "api:8080"),
        ("https://[::1]:6443", ("https", "::1", 6443, ""), "[::1]:6443"),
        ("https://[fe80::1%eth0]", ("https", "fe80::1%eth0", 443, ""), "[fe80::1%eth0]"),
        ("socks5://proxy", ("socks5", "proxy", 1080, ""), "proxy"),
        ("socks5h://proxy:9", ("socks5h", "proxy", 9, ""), "proxy:9"),
    ],
)
def test_a_url_is_taken_apart(
    url: str, expected: tuple[str, str, int, str], authority: str
) -> None:
    found = parse_endpoint(url, "server")
    assert (found.scheme, found.host, found.port, found.prefix) == expected
    assert found.authority == authority
    assert found.is_tls == (expected[0] == "https")


@pytest.mark.parametrize(
    "url",
    [
        *("", "https://", "https://:6443", "ftp://api", "https://api:0", "https://api:65536"),
        *("https://api:x", "https://a b", "https://[::1", "https://::1", "https://api?x=1"),
        *("https://api#x", "//api", "https://[zz]", "https://a@b@", "https://api\n", "unix:///a"),
        *("https://api:\u00b2", "https://api:" + "9" * 5000),
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(KubeconfigError, match=r"the server .* is no URL that kubelag understands"):
        parse_endpoint(url, "server")


def test_a_password_never_shows() -> None:
    found = parse_endpoint("http://jane:s3cret@proxy:3128", "proxy")
    assert found.user == "jane:s3cret"
    assert "s3cret" not in repr(found)
    with pytest.raises(KubeconfigError) as raised:
        parse_endpoint("http://jane:s3cret@proxy:port", "proxy")
    assert "s3cret" not in str(raised.value)


@given(
    st.sampled_from(["https://", "http://", ""]),
    st.text(alphabet="ab1.:/@[]%?#- \\\u00e9", max_size=14),
)
def test_any_text_is_a_url_or_refused(scheme: str, rest: str) -> None:
    try:
        found = parse_endpoint(scheme + rest, "server")
    except KubeconfigError:
        return
    assert isinstance(found, Endpoint)
    assert found.host
    assert 0 < found.port <= 65535
    assert not found.prefix.endswith("/")
