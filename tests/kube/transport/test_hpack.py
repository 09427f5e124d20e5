"""Header compression, against the examples of RFC 7541 and an independent implementation."""

from collections.abc import Sequence

import hpack
import pytest
from hpack.exceptions import OversizedHeaderListError
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.struct import NeverIndexedHeaderTuple
from hypothesis import given
from hypothesis import strategies as st

from kubelag.kube.transport.hpack import LIST_BYTES, Decoder, Encoder, huffman_decode
from kubelag.kube.transport.messages import ProtocolError

Fields = list[tuple[str, str]]

HUFFMAN = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)
TABLE_OF_256_BYTES = "3fe101"
FIRST_REQUEST = [
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "www.example.com"),
]
SECOND_REQUEST = [*FIRST_REQUEST, ("cache-control", "no-cache")]
THIRD_REQUEST = [
    (":method", "GET"),
    (":scheme", "https"),
    (":path", "/index.html"),
    (":authority", "www.example.com"),
    ("custom-key", "custom-value"),
]
FIRST_RESPONSE = [
    (":status", "302"),
    ("cache-control", "private"),
    ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
    ("location", "https://www.example.com"),
]
SECOND_RESPONSE = [(":status", "307"), *FIRST_RESPONSE[1:]]
THIRD_RESPONSE = [
    (":status", "200"),
    ("cache-control", "private"),
    ("date", "Mon, 21 Oct 2013 20:13:22 GMT"),
    ("location", "https://www.example.com"),
    ("content-encoding", "gzip"),
    ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"),
]
RFC_SERIES = {
    "C.3 requests, plain": [
        ("828684410f7777772e6578616d706c652e636f6d", FIRST_REQUEST),
        ("828684be58086e6f2d6361636865", SECOND_REQUEST),
        ("828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565", THIRD_REQUEST),
    ],
    "C.4 requests, Huffman": [
        ("828684418cf1e3c2e5f23a6ba0ab90f4ff", FIRST_REQUEST),
        ("828684be5886a8eb10649cbf", SECOND_REQUEST),
        ("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", THIRD_REQUEST),
    ],
    "C.5 responses with evictions, plain": [
        (
            TABLE_OF_256_BYTES
            + "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032"
            "303a31333a323120474d546e1768747470733a2f2f7777772e6578616d706c652e636f6d",
            FIRST_RESPONSE,
        ),
        ("4803333037c1c0bf", SECOND_RESPONSE),
        (
            (
                "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f"
                "6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d3336"
                "30303b2076657273696f6e3d31"
            ),
            THIRD_RESPONSE,
        ),
    ],
    "C.6 responses with evictions, Huffman": [
        (
            TABLE_OF_256_BYTES
            + "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1b"
            "ff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
            FIRST_RESPONSE,
        ),
        ("4883640effc1c0bf", SECOND_RESPONSE),
        (
            (
                "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335"
                "dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007"
            ),
            THIRD_RESPONSE,
        ),
    ],
}
NAMES = st.sampled_from(["accept", "x-long", ":path", "content-length", "date", "audit-id"])
FIELD = st.tuples(NAMES | st.text(max_size=20), st.text(max_size=60))
LISTS = st.lists(st.lists(FIELD, max_size=8), max_size=6)


@pytest.mark.parametrize("series", RFC_SERIES.values(), ids=RFC_SERIES.keys())
def test_the_examples_of_the_rfc(series: Sequence[tuple[str, Fields]]) -> None:
    decoder = Decoder()
    for block, fields in series:
        assert decoder.decode(bytes.fromhex(block)) == fields


@pytest.mark.parametrize(
    ("block", "field"),
    [
        ("400a637573746f6d2d6b65790d637573746f6d2d686561646572", ("custom-key", "custom-header")),
        ("040c2f73616d706c652f70617468", (":path", "/sample/path")),
        ("100870617373776f726406736563726574", ("password", "secret")),
        ("82", (":method", "GET")),
    ],
    ids=["C.2.1", "C.2.2", "C.2.3", "C.2.4"],
)
def test_each_representation(block: str, field: tuple[str, str]) -> None:
    assert Decoder().decode(bytes.fromhex(block)) == [field]


@given(lists=LISTS, huffman=st.booleans(), sizes=st.lists(st.integers(0, 4096), max_size=6))
def test_what_another_encoder_wrote(
    lists: Sequence[Fields], sizes: Sequence[int], *, huffman: bool
) -> None:
    encoder, decoder = hpack.Encoder(), Decoder()
    for number, fields in enumerate(lists):
        if number < len(sizes):
            encoder.header_table_size = sizes[number]
        assert decoder.decode(encoder.encode(fields, huffman=huffman)) == fields


@given(lists=LISTS, limit=st.integers(0, 8192))
def test_what_another_decoder_reads(lists: Sequence[Fields], limit: int) -> None:
    encoder, decoder = Encoder(), hpack.Decoder()
    for number, fields in enumerate(lists):
        if number == 1:
            encoder.limit_table(limit)
            decoder.max_allowed_table_size = limit
        decoded: list[object] = list(decoder.decode(encoder.encode(fields)))
        assert decoded == fields


@given(st.binary(max_size=200) | st.binary(max_size=40).map(lambda data: b"\x40" + data))
def test_damage_is_told_and_nothing_is_misread(block: bytes) -> None:
    try:
        fields = Decoder().decode(block)
    except ProtocolError:
        return
    other = hpack.Decoder()
    try:
        expected = other.decode(block, raw=True)
    except OversizedHeaderListError:
        return
    text = [
        (str(name, "utf-8", "replace"), str(value, "utf-8", "replace")) for name, value in expected
    ]
    assert fields == text


@given(st.binary(max_size=300))
def test_huffman_round_trip(data: bytes) -> None:
    assert huffman_decode(HUFFMAN.encode(data)) == data


def test_huffman_of_every_byte() -> None:
    every = bytes(range(256)) * 3
    assert huffman_decode(HUFFMAN.encode(every)) == every


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",
        b"\xff\xff",
        b"\xff\xff\xff\xff",
        b"\x00",
        b"\x1f\xff",
        b"\x18",
        b"\xfe",
        b"\xff\xf8",
    ],
    ids=["8-ones", "16-ones", "eos", "zeros", "too-long", "bad-padding", "cut", "cut-long"],
)
def test_wrong_padding_of_huffman(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        huffman_decode(data)


def test_right_padding_of_huffman() -> None:
    assert huffman_decode(b"\x1f") == b"a"
    assert huffman_decode(b"") == b""


@pytest.mark.parametrize(
    ("block", "why"),
    [
        (b"\x80", "names header 0"),
        (b"\xbe", "names header 62"),
        (b"\xff\xff\xff\xff\xff\xff\xff\x01", "too large"),
        (b"\xff\x80\x80\x80\x80\x80\x00", "too large"),
        (b"\xff", "breaks off"),
        (b"\x40", "breaks off"),
        (b"\x40\x03ab", "breaks off"),
        (b"\x40\x01a", "breaks off"),
        (b"\x3f\xe2\x1f", "resized"),
        (b"\x82\x20", "resized"),
    ],
)
def test_each_damage(block: bytes, why: str) -> None:
    with pytest.raises(ProtocolError, match=why.replace("names", "named")):
        Decoder().decode(block)


def test_a_small_block_cannot_become_a_large_list() -> None:
    """An HPACK bomb: one large entry of the table, named over and over."""
    entry = b"\x40\x01a" + b"\x7f\xa1\x1e" + b"b" * 4000
    with pytest.raises(ProtocolError, match=f"more than {LIST_BYTES} bytes"):
        Decoder().decode(entry + b"\xbe" * 1000)


def test_an_entry_larger_than_the_table_empties_it() -> None:
    decoder = Decoder()
    decoder.decode(b"\x40\x01a\x01b")
    assert decoder.decode(b"\xbe") == [("a", "b")]
    decoder.decode(b"\x40\x01c\x7f\x81\x1f" + b"d" * 4096)
    with pytest.raises(ProtocolError):
        decoder.decode(b"\xbe")


def test_two_updates_of_the_size_may_begin_a_block() -> None:
    assert Decoder().decode(b"\x20\x3f\xe1\x1f\x82") == [(":method", "GET")]


@pytest.mark.parametrize("name", ["authorization", "cookie", "x-amz-security-token"])
def test_a_credential_is_never_indexed(name: str) -> None:
    encoder, decoder = Encoder(), hpack.Decoder()
    for _ in range(2):
        (field,) = decoder.decode(encoder.encode([(name, "Bearer secret")]))
        assert isinstance(field, NeverIndexedHeaderTuple)


def test_a_repeated_request_costs_little_more_than_its_path() -> None:
    encoder = Encoder()
    first = encoder.encode([(":method", "GET"), (":path", "/api"), ("user-agent", "kubelag")])
    second = encoder.encode([(":method", "GET"), (":path", "/api"), ("user-agent", "kubelag")])
    assert (len(first), len(second)) == (16, 8)
