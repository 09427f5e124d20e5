"""A small HTTPS client of the lab's own: to see whether a server is ready, and to fill it."""

import http.client
import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from kubelag.errors import LabError
from kubelag.lab.control_plane.certificates import Certificates

POLL_S = 0.05
"""Pause between two looks at a server that is not ready yet. Arbitrary."""
TIMEOUT_S = 30.0
"""One request may take this long; a real server that starts up on a busy machine is slow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the server said."""

    status: int
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - JSON is whatever it is
        """The body, decoded."""
        return json.loads(self.body)


class AdminClient:
    """One keep-alive connection as the certificate administrator; not for several threads."""

    def __init__(self, url: str, certificates: Certificates) -> None:
        context = ssl.create_default_context(cafile=str(certificates.ca))
        context.load_cert_chain(certificates.client_certificate, certificates.client_key)
        parts = urlsplit(url)
        self._connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port, context=context, timeout=TIMEOUT_S
        )

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request; a broken connection is closed, so that the next request opens a new one.

        Raises:
            OSError: Connection or TLS failed.
            http.client.HTTPException: The answer was not HTTP.
        """
        data = None if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", "Accept": "application/json"} | dict(
            headers or {}
        )
        try:
            self._connection.request(method, path, body=data, headers=sent)
            response = self._connection.getresponse()
            return Answer(status=response.status, body=response.read())
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def wait_until(is_true: Callable[[], bool], *, deadline_s: float, what: str, hint: str) -> None:
    """Poll until it is true.

    Args:
        is_true: May raise connection errors, which count as not yet.
        deadline_s: On the monotonic clock.
        what: The end of "… did not happen", for the error.
        hint: The next step.

    Raises:
        LabError: The deadline came first.
    """
    while True:
        try:
            if is_true():
                return
        except (OSError, http.client.HTTPException):
            pass  # nobody listens yet
        if time.monotonic() > deadline_s:
            raise LabError(what, hint)
        time.sleep(POLL_S)
