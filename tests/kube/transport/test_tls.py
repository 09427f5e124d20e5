"""Trust, as users meet it: every way in which a certificate can be wrong is one sentence."""

import datetime as dt
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from hostile_server import Authority, kubeconfig, serving, well_behaved
from kubelag.errors import KubeconfigError, KubelagError, TransportError
from kubelag.kube import Client, Settings
from kubelag.kube.transport.events import Phase, RequestDone, Waiting


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


Ask = Callable[..., list[Phase | RequestDone | Waiting]]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Asks a server for its version, once."""

    def run(
        url: str, ca: bytes = b"", user: dict[str, Any] | None = None, **cluster: Any
    ) -> list[Phase | RequestDone | Waiting]:
        path = kubeconfig(tmp_path, url, ca, user, **cluster)
        events: list[Phase | RequestDone | Waiting] = []
        env = {"KUBECONFIG": str(path), "HOME": str(tmp_path), "PATH": os.defpath}
        client = Client(env=env, settings=Settings(cache="memory"), observe=events.append)
        try:
            client.request("/version")
        finally:
            client.forget_connections()
        return events

    return run


def test_a_certificate_is_checked_against_the_clusters_authority(
    ask: Ask, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    with serving(well_behaved(), tls=authority.server()) as server:
        events = ask(server.url, authority.pem)
        ask(server.url, **{"certificate-authority": str(tmp_path / "ca.pem")})
        ask(server.url, b"a comment\n" + Authority().pem + authority.pem)
    (tls,) = (one for one in events if isinstance(one, Phase) and one.kind == "tls")
    assert tls.detail.startswith("TLSv1.3")


@pytest.mark.parametrize(
    ("names", "ends", "parts"),
    [
        (("127.0.0.1",), dt.datetime(2020, 1, 1, tzinfo=dt.UTC), ("expired", "clock")),
        (("api.example.com",), None, ("not trusted", "--tls-server-name")),
        (("127.0.0.2",), None, ("not trusted", "--tls-server-name")),
    ],
)
def test_a_certificate_that_is_wrong_is_one_sentence(
    names: tuple[str, ...],
    ends: dt.datetime | None,
    parts: tuple[str, ...],
    ask: Ask,
    authority: Authority,
) -> None:
    with serving(well_behaved(), tls=authority.server(*names, ends=ends)) as server:
        with pytest.raises(TransportError) as raised:
            ask(server.url, authority.pem)
        assert all(part in str(raised.value) for part in parts), raised.value
        assert f"127.0.0.1:{server.port}" in str(raised.value)
        ask(server.url, **{"insecure-skip-tls-verify": True})


def test_a_name_of_its_own_is_looked_for(ask: Ask, authority: Authority) -> None:
    with serving(well_behaved(), tls=authority.server("api.example.com")) as server:
        ask(server.url, authority.pem, **{"tls-server-name": "api.example.com"})
        with pytest.raises(TransportError, match="not trusted"):
            ask(server.url, authority.pem, **{"tls-server-name": "other.example.com"})


def test_another_authority_is_named_by_where_it_comes_from(
    ask: Ask, authority: Authority, tmp_path: Path
) -> None:
    path = tmp_path / "other.pem"
    path.write_bytes(Authority().pem)
    with serving(well_behaved(), tls=authority.server()) as server:
        with pytest.raises(TransportError, match=f"it is checked against {path}"):
            ask(server.url, **{"certificate-authority": str(path)})
        with pytest.raises(TransportError, match="certificate-authority-data of cluster 'c'"):
            ask(server.url, Authority().pem)


@pytest.mark.parametrize(
    ("cluster", "why"),
    [
        ({"certificate-authority-data": "***"}, "cluster 'c' is no base64"),
        ({"certificate-authority-data": "cnViYmlzaA=="}, "holds no certificate authority"),
        ({"certificate-authority": "/nowhere/ca.pem"}, "/nowhere/ca.pem cannot be read"),
        ({"certificate-authority": "/"}, "the certificate authority / cannot be read"),
    ],
)
def test_an_authority_that_is_none_is_one_sentence(
    cluster: dict[str, str], why: str, ask: Ask, authority: Authority
) -> None:
    with serving(well_behaved(), tls=authority.server()) as server:
        with pytest.raises(KubeconfigError, match=why):
            ask(server.url, **cluster)
        assert not server.connected.is_set()


@pytest.fixture
def strict(authority: Authority) -> ssl.SSLContext:
    """A server that wants a certificate of this authority."""
    context = authority.server()
    context.verify_mode = ssl.CERT_REQUIRED
    authority.ca.configure_trust(context)
    return context


def files_of(ca: trustme.CA, directory: Path) -> dict[str, str]:
    """A kubeconfig's user with a certificate of this authority."""
    leaf = ca.issue_cert("someone.invalid", common_name="someone")
    leaf.private_key_pem.write_to_path(directory / "key.pem")
    (directory / "cert.pem").write_bytes(b"".join(one.bytes() for one in leaf.cert_chain_pems))
    return {"client-certificate": f"{directory}/cert.pem", "client-key": f"{directory}/key.pem"}


def test_a_client_shows_its_certificate(
    ask: Ask, authority: Authority, strict: ssl.SSLContext, tmp_path: Path
) -> None:
    with serving(well_behaved(), tls=strict) as server:
        ask(server.url, authority.pem, files_of(authority.ca, tmp_path))


def test_a_certificate_that_is_missing_or_anothers_is_one_sentence(
    ask: Ask, authority: Authority, strict: ssl.SSLContext, tmp_path: Path
) -> None:
    with serving(well_behaved(), tls=strict) as server:
        with pytest.raises(TransportError, match=f"127.0.0.1:{server.port}"):
            ask(server.url, authority.pem)
        with pytest.raises(TransportError, match=f"127.0.0.1:{server.port}"):
            ask(server.url, authority.pem, files_of(trustme.CA(), tmp_path))


def test_a_key_that_does_not_belong_to_the_certificate_is_one_sentence(
    ask: Ask, authority: Authority, tmp_path: Path
) -> None:
    user = files_of(authority.ca, tmp_path)
    key = authority.ca.issue_cert("other.invalid").private_key_pem.bytes()
    (tmp_path / "key.pem").write_bytes(key)
    with (
        serving(well_behaved(), tls=authority.server()) as server,
        pytest.raises(KubelagError, match="client certificate and key of user 'u'"),
    ):
        ask(server.url, authority.pem, user)


def test_a_server_that_speaks_only_an_old_tls_is_one_sentence(
    ask: Ask, authority: Authority
) -> None:
    context = authority.server()
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        serving(well_behaved(), tls=context) as server,
        pytest.raises(TransportError, match=f"TLS with 127.0.0.1:{server.port} failed"),
    ):
        ask(server.url, authority.pem)


@pytest.mark.parametrize(
    "greeting", [b"\x00" * 100, b"HTTP/1.1 400 Bad\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x28"]
)
def test_what_is_no_tls_is_one_sentence(greeting: bytes, ask: Ask) -> None:
    with (
        serving(greet=lambda line: line.sendall(greeting)) as server,
        pytest.raises(TransportError, match=f"TLS with 127.0.0.1:{server.port} failed"),
    ):
        ask(f"https://127.0.0.1:{server.port}")


def test_a_server_that_hangs_up_in_the_handshake_is_one_sentence(ask: Ask) -> None:
    with (
        serving(greet=lambda line: line.close()) as server,
        pytest.raises(TransportError, match=f"TLS with 127.0.0.1:{server.port} "),
    ):
        ask(f"https://127.0.0.1:{server.port}")
