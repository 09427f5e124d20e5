"""Frames, settings and error codes of HTTP/2 (RFC 9113 sections 4, 6 and 7)."""

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client says first (section 3.4)."""

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE = range(6)
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(6, 10)

END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
HAS_PRIORITY = 0x20

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS = range(1, 4)
INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = range(4, 7)

NO_ERROR, PROTOCOL, INTERNAL, FLOW_CONTROL, SETTINGS_TIMEOUT, STREAM_CLOSED = range(6)
FRAME_SIZE, REFUSED_STREAM, CANCEL, COMPRESSION, CONNECT, ENHANCE_YOUR_CALM = range(6, 12)
_CODE_NAMES = (
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
)

FRAME_BYTES = 16384
"""Most that a frame may carry where nothing else was settled; no peer may allow less."""
LARGEST_FRAME_BYTES = (1 << 24) - 1
LARGEST_NUMBER = (1 << 31) - 1
"""Of a stream, and of bytes in a window."""
WINDOW_BYTES = 65535
"""Each flow-control window at first (section 6.9.2)."""

HEADER = struct.Struct(">BHBBL")
"""Length in two parts, type, flags, stream."""
NUMBER = struct.Struct(">L")
TWO_NUMBERS = struct.Struct(">LL")
SETTING = struct.Struct(">HL")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    size = len(payload)
    return HEADER.pack(size >> 16, size & 0xFFFF, kind, flags, stream) + payload


def settings(*pairs: tuple[int, int]) -> bytes:
    """The frame that tells the peer what this side wants."""
    return frame(SETTINGS, 0, 0, b"".join(SETTING.pack(*pair) for pair in pairs))


def window_update(stream: int, size: int) -> bytes:
    """The frame that allows the peer so many bytes more."""
    return frame(WINDOW_UPDATE, 0, stream, NUMBER.pack(size))


def block(stream: int, flags: int, data: bytes) -> bytes:
    """A block of headers, as HEADERS and as many CONTINUATION as it needs."""
    if len(data) <= FRAME_BYTES:
        return frame(HEADERS, flags | END_HEADERS, stream, data)
    out = [frame(HEADERS, flags, stream, data[:FRAME_BYTES])]
    for start in range(FRAME_BYTES, len(data), FRAME_BYTES):
        is_last = start + FRAME_BYTES >= len(data)
        piece = data[start : start + FRAME_BYTES]
        out.append(frame(CONTINUATION, END_HEADERS if is_last else 0, stream, piece))
    return b"".join(out)


def is_frame_size(size: int) -> bool:
    """Whether a peer may set its largest frame to it; nothing above the least is ever sent it."""
    return FRAME_BYTES <= size <= LARGEST_FRAME_BYTES


def code_name(code: int) -> str:
    """As the RFC calls it."""
    return _CODE_NAMES[code] if code < len(_CODE_NAMES) else f"error {code}"
