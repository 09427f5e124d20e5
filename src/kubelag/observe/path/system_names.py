"""Looks names up as this system does, within a limit: its own resolver cannot be interrupted.

Only for names that no client dials: those of backends. What a client dials is asked for in
`questions`, server by server.
"""

import socket
import threading
import time
from collections.abc import Mapping, Sequence

LIMIT_S = 2.0
"""For all of them together. Arbitrary: the path is looked at without them too."""


def addresses_of(hosts: Sequence[str], limit_s: float = LIMIT_S) -> Mapping[str, tuple[str, ...]]:
    """The addresses of each name; none where it has none, or the limit was over."""
    found: dict[str, tuple[str, ...]] = {}

    def ask(host: str) -> None:
        try:
            answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        found[host] = tuple(dict.fromkeys(str(answer[4][0]) for answer in answers))

    threads = [threading.Thread(target=ask, args=(host,), daemon=True) for host in set(hosts)]
    until_s = time.monotonic() + limit_s
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until_s - time.monotonic()))
    return dict(found)
