"""The factors that wall time is divided into: their ids, their titles, and who waits for whom."""

from typing import Final

from kubelag.model.attribution import Factor

CACHE_FSYNC: Final = "cache_fsync"
CACHE_FILES: Final = "cache_files"
OTHER_FSYNC: Final = "other_fsync"
OTHER_FILES: Final = "other_files"
CREDENTIAL_PLUGIN: Final = "credential_plugin"
CHILD_PROCESS: Final = "child_process"
WRAPPER: Final = "wrapper"
DNS: Final = "dns"
CONNECT: Final = "connect"
PROXY: Final = "proxy"
TLS: Final = "tls"
LOSS: Final = "packet_loss"
BROKEN: Final = "broken_connections"
ROUND_TRIPS: Final = "round_trips"
TRANSFER: Final = "transfer"
DISCOVERY: Final = "discovery_requests"
TARGET: Final = "target_requests"
CLIENT_THROTTLE: Final = "client_throttle"
RETRY_AFTER: Final = "retry_after"
RETRY: Final = "retry"
CPU_THROTTLED: Final = "cpu_throttled"
MEMORY_STALL: Final = "memory_stall"
RUN_QUEUE: Final = "run_queue"
CLIENT_CPU: Final = "client_cpu"

TITLES: Final[dict[Factor, str]] = {
    CACHE_FSYNC: "syncing cache entries to disk",
    CACHE_FILES: "opening, renaming and closing cache files",
    OTHER_FSYNC: "syncing other files",
    OTHER_FILES: "file calls elsewhere",
    CREDENTIAL_PLUGIN: "waiting for the credential plugin",
    CHILD_PROCESS: "waiting for another child process",
    WRAPPER: "in a wrapper, before the real client",
    DNS: "looking up names",
    CONNECT: "waiting for connections",
    PROXY: "waiting for the proxy",
    TLS: "TLS handshakes",
    LOSS: "waiting for lost packets to be sent again",
    BROKEN: "waiting on connections that had broken",
    ROUND_TRIPS: "packets on their way there and back",
    TRANSFER: "receiving as fast as the line allows",
    DISCOVERY: "waiting for discovery answers",
    TARGET: "waiting for the answer itself",
    CLIENT_THROTTLE: "held back by the client's own rate limit",
    RETRY_AFTER: "told by the server to wait",
    RETRY: "pausing after a failed connection",
    CPU_THROTTLED: "stopped by the CPU quota",
    MEMORY_STALL: "stalled for memory",
    RUN_QUEUE: "runnable, waiting for a processor",
    CLIENT_CPU: "computing in the client",
}

REQUESTS: Final = frozenset({DISCOVERY, TARGET})
"""A request in flight may itself be waiting for something on the client's side."""

BEFORE_REQUESTS: Final = frozenset({CREDENTIAL_PLUGIN, DNS})
"""What the client's log counts into a request's milliseconds although it came before sending
(causes.md section 2): carved out of every request and blamed on the holder in full. What a
request's own connection spent is carved out of that request alone."""

ON_THE_WIRE: Final = frozenset({LOSS, BROKEN, ROUND_TRIPS, TRANSFER})
"""Packets need their time whether or not the client runs meanwhile: what stops it or makes it queue
for a processor takes nothing from these."""

LOCK_HOLDERS: Final = frozenset({CACHE_FSYNC, CACHE_FILES})
"""What may hold the cache's lock while a request waits for it; the log cannot tell, so such an
overlap on the critical path is shared out equally."""


def title(factor: Factor) -> str:
    """What a reader is shown; an unknown factor is shown by its id."""
    return TITLES.get(factor, factor)
