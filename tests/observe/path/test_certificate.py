"""Certificates, taken apart without being trusted."""

import datetime as dt
import hashlib
import ssl

import trustme
from hypothesis import given
from hypothesis import strategies as st

from kubelag.observe.path.certificate import read_certificate


def der(*names: str, **more: dt.datetime) -> bytes:
    """A certificate for these names."""
    pem = trustme.CA().issue_cert(*names, **more).cert_chain_pems[0].bytes().decode()
    return ssl.PEM_cert_to_DER_cert(pem)


WHOLE = der("api.example", "*.example", "192.0.2.1", "2001:db8::1")


def test_names_dates_and_digest_are_read() -> None:
    ends = dt.datetime(2049, 12, 31, 23, 59, 58, tzinfo=dt.UTC)
    data = der("api.example", "192.0.2.1", "2001:db8::1", not_after=ends)
    read = read_certificate(data)
    assert read.sha256 == hashlib.sha256(data).hexdigest()
    assert read.names == ("api.example", "192.0.2.1", "2001:db8::1")
    assert (read.begins_at, read.ends_at) == ("2000-01-01T00:00:00Z", "2049-12-31T23:59:58Z")
    assert read.subject.startswith("O=trustme")
    assert "Testing CA" in read.issuer


def test_a_year_beyond_2050_is_read() -> None:
    ends = dt.datetime(2051, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    assert read_certificate(der("x", not_after=ends)).ends_at == "2051-01-02T03:04:05Z"


@given(st.binary())
def test_any_bytes_have_at_least_a_digest(data: bytes) -> None:
    assert read_certificate(data).sha256 == hashlib.sha256(data).hexdigest()


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_a_damaged_certificate_is_no_crash(at: int, byte: int) -> None:
    damaged = WHOLE[:at] + bytes([byte]) + WHOLE[at + 1 :]
    assert all(name.isprintable() for name in read_certificate(damaged).names)


@given(st.integers(0, len(WHOLE)))
def test_a_truncated_certificate_is_no_crash(length: int) -> None:
    assert len(read_certificate(WHOLE[:length]).sha256) == 64
