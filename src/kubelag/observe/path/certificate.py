"""Takes a certificate apart (X.509 in DER, RFC 5280); what is damaged is left out. Pure.

`ssl` tells the fields only of a certificate that it trusts, and the others are the ones that
somebody wants to see.
"""

import hashlib
import ipaddress
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice

from kubelag.model.path import Certificate

_SEQUENCE, _OID, _UTC_TIME = 0x30, 0x06, 0x17
_VERSION, _EXTENSIONS = 0xA0, 0xA3
_OCTETS = 0x04
_DNS_NAME, _ADDRESS = 0x82, 0x87
_UTF16 = 0x1E
_ALTERNATIVE_NAMES = bytes.fromhex("551d11")
_SHORT = 0x80
_MOST_LENGTH_BYTES = 4
_ATTRIBUTES = {
    bytes.fromhex("550403"): "CN",
    bytes.fromhex("55040a"): "O",
    bytes.fromhex("55040b"): "OU",
    bytes.fromhex("550406"): "C",
}
_CENTURY_TURN = 50
"""A year of two digits from 50 on is of the last century (RFC 5280 section 4.1.2.5.1)."""
_MOST_NAMES, _NAME_CHARS = 100, 253
"""What is kept of a hostile certificate. Arbitrary; DNS allows no longer name."""

Part = tuple[int, bytes]


def read_certificate(der: bytes) -> Certificate:
    """What a certificate says; its digest always, of the rest what can be read."""
    digest = hashlib.sha256(der).hexdigest()
    try:
        return _read(der, digest)
    except (ValueError, IndexError):
        return Certificate(sha256=digest)


def _read(der: bytes, digest: str) -> Certificate:
    body = _only(_only(der, _SEQUENCE), _SEQUENCE)
    parts = [part for part in _parts(body) if part[0] != _VERSION]
    # Serial number, algorithm, issuer, validity, subject, key, and then what is optional.
    issuer, validity, subject = (part[1] for part in parts[2:5])
    begins, ends = (_moment(*part) for part in list(_parts(validity))[:2])
    names = (name for tag, content in parts if tag == _EXTENSIONS for name in _names(content))
    return Certificate(
        sha256=digest,
        subject=_distinguished(subject),
        issuer=_distinguished(issuer),
        names=tuple(islice(names, _MOST_NAMES)),
        begins_at=begins,
        ends_at=ends,
    )


def _parts(data: bytes) -> Iterator[Part]:
    """Tag and content of everything at one level.

    Raises:
        ValueError: If a length leads outside.
    """
    at = 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length >= _SHORT:
            count = length - _SHORT
            if not 0 < count <= _MOST_LENGTH_BYTES:
                raise ValueError("no length that DER allows here")
            length, at = int.from_bytes(data[at : at + count], "big"), at + count
        if at + length > len(data):
            raise ValueError("a part is longer than the whole")
        yield tag, data[at : at + length]
        at += length


def _only(data: bytes, tag: int) -> bytes:
    first, content = next(_parts(data), (0, b""))
    if first != tag:
        raise ValueError("another tag was expected")
    return content


def _distinguished(data: bytes) -> str:
    """For example `CN=kube-apiserver, O=system`; attributes of other kinds are left out."""
    said = []
    for _, group in _parts(data):
        for _, pair in _parts(group):
            (_, oid), (tag, value) = list(_parts(pair))[:2]
            if oid in _ATTRIBUTES:
                said.append(f"{_ATTRIBUTES[oid]}={_text(tag, value)}")
    return ", ".join(said)


def _text(tag: int, value: bytes) -> str:
    text = value.decode("utf-16-be" if tag == _UTF16 else "utf-8", errors="replace")
    return "".join(char if char.isprintable() else "?" for char in text)[:_NAME_CHARS]


def _moment(tag: int, value: bytes) -> str:
    """ISO 8601 in UTC."""
    digits = value.decode("ascii").removesuffix("Z")
    if tag == _UTC_TIME:
        digits = ("19" if int(digits[:2]) >= _CENTURY_TURN else "20") + digits
    read = datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return read.isoformat().replace("+00:00", "Z")


def _names(extensions: bytes) -> Iterator[str]:
    """Every name and address of the alternative names."""
    for _, extension in _parts(_only(extensions, _SEQUENCE)):
        fields = list(_parts(extension))
        if fields[0] != (_OID, _ALTERNATIVE_NAMES) or fields[-1][0] != _OCTETS:
            continue
        for tag, value in _parts(_only(fields[-1][1], _SEQUENCE)):
            if tag == _DNS_NAME:
                yield _text(tag, value)
            elif tag == _ADDRESS and len(value) in {4, 16}:
                yield str(ipaddress.ip_address(value))
