"""Entries of kubectl's HTTP cache, of both generations."""

import gzip
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.kube.cache.http_entries import (
    decode_entry,
    discovery_url,
    encode_entry,
    entry_name,
    has_etag,
)
from kubelag.kube.transport.messages import Response

AGGREGATED = Response(
    status=200,
    headers={
        "cache-control": "public",
        "content-type": "application/json;g=apidiscovery.k8s.io;v=v2",
        "etag": '"E1"',
        "vary": "Accept, Accept-Encoding",
        "content-encoding": "gzip",
        "content-length": "33",
    },
    body=gzip.compress(b'{"kind":"APIGroupDiscoveryList"}'),
)


@pytest.mark.parametrize("is_summed", [False, True])
@given(st.binary(max_size=80), st.integers(200, 599))
def test_an_answer_comes_back(is_summed: bool, body: bytes, status: int) -> None:
    response = Response(status=status, headers={"content-type": "application/json"}, body=body)
    found = decode_entry(
        encode_entry(response, "application/json", is_summed=is_summed), is_summed=is_summed
    )
    assert found is not None
    assert (found.status, found.body) == (status, body)
    assert found.headers["content-type"] == "application/json"


def test_the_body_is_kept_decoded_and_what_it_varies_with_is_noted() -> None:
    dump = encode_entry(AGGREGATED, "application/json;v=v2", is_summed=False)
    assert dump == (
        b"HTTP/1.1 200 OK\r\n"
        b"Content-Length: 32\r\n"
        b"Cache-Control: public\r\n"
        b"Content-Type: application/json;g=apidiscovery.k8s.io;v=v2\r\n"
        b'Etag: "E1"\r\n'
        b"Vary: Accept, Accept-Encoding\r\n"
        b"X-Varied-Accept: application/json;v=v2\r\n"
        b"\r\n"
        b'{"kind":"APIGroupDiscoveryList"}'
    )


def test_the_newer_layout_is_the_older_after_its_checksum() -> None:
    dump = encode_entry(AGGREGATED, "a", is_summed=False)
    assert encode_entry(AGGREGATED, "a", is_summed=True) == hashlib.sha256(dump).digest() + dump


@given(st.data())
def test_the_newer_layout_notices_a_flipped_bit(at: st.DataObject) -> None:
    data = bytearray(encode_entry(AGGREGATED, "a", is_summed=True))
    data[at.draw(st.integers(0, len(data) - 1))] ^= 1 << at.draw(st.integers(0, 7))
    assert decode_entry(bytes(data), is_summed=True) is None


def test_the_older_layout_notices_a_body_that_is_cut_short() -> None:
    data = encode_entry(AGGREGATED, "a", is_summed=False)
    assert decode_entry(data[:-1], is_summed=False) is None


def test_a_chunked_dump_is_put_together() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    found = decode_entry(head + b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", is_summed=False)
    assert found is not None
    assert found.body == b"abc0123456789"
    assert decode_entry(head + b"3\r\nabc\r\nA\r\n0123", is_summed=False) is None


@given(st.binary(max_size=120), st.booleans())
def test_arbitrary_bytes_never_raise(data: bytes, is_summed: bool) -> None:
    assert decode_entry(data, is_summed=is_summed) is None
    decode_entry(b"HTTP/1.1 200 OK\r\n" + data, is_summed=False)


@pytest.mark.parametrize(("coding", "body"), [("br", b"x"), ("gzip", b"not gzip")])
def test_a_coding_that_cannot_be_undone_is_refused(coding: str, body: bytes) -> None:
    response = Response(status=200, headers={"content-encoding": coding}, body=body)
    with pytest.raises(ValueError, match=coding):
        encode_entry(response, "", is_summed=True)


def test_a_header_cannot_end_the_head() -> None:
    response = Response(status=200, headers={"etag": "a\r\n\r\nb"}, body=b"body")
    found = decode_entry(encode_entry(response, "", is_summed=True), is_summed=True)
    assert found is not None
    assert found.body == b"body"


def test_only_a_good_answer_with_an_etag_is_worth_an_entry() -> None:
    assert has_etag(AGGREGATED)
    assert not has_etag(AGGREGATED.but(status=304))
    assert not has_etag(AGGREGATED.but(headers={}))


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("https://127.0.0.1:18003", "https://127.0.0.1:18003/apis?timeout=32s"),
        ("https://h/prefix/", "https://h/prefix/apis?timeout=32s"),
    ],
)
def test_an_entry_is_named_by_the_url_as_kubectl_sends_it(server: str, expected: str) -> None:
    assert discovery_url(server, "/apis") == expected
    assert entry_name(expected, is_summed=True) == hashlib.sha256(expected.encode()).hexdigest()
    assert len(entry_name(expected, is_summed=False)) == 32
