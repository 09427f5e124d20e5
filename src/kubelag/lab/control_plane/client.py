"""A small HTTPS client of the lab's own: to see whether a server is ready, and to fill it."""

import contextlib
import http.client
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from kubelag.lab.control_plane.certificates import Certificates
from kubelag.lab.network.namespaces import Namespace
from kubelag.lab.waiting import wait_until

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
    """One keep-alive connection as the certificate administrator; not for several threads.

    Args:
        url: Of the server.
        certificates: The administrator's.
        namespace: The host from which to connect; None for this one.
    """

    def __init__(
        self, url: str, certificates: Certificates, namespace: Namespace | None = None
    ) -> None:
        context = ssl.create_default_context(cafile=str(certificates.ca))
        context.load_cert_chain(certificates.client_certificate, certificates.client_key)
        parts = urlsplit(url)
        self._connection = _Connection(
            parts.hostname or "", parts.port, context=context, timeout=TIMEOUT_S
        )
        self._connection.namespace = namespace

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


class _Connection(http.client.HTTPSConnection):
    """Connects from inside a namespace; afterwards its socket belongs there for good."""

    namespace: Namespace | None = None

    def connect(self) -> None:
        if self.namespace is None:
            super().connect()
        else:
            self.namespace.do(super().connect)


def wait_answer(
    is_true: Callable[[], bool], *, timeout_s: float, problem: str, next_step: str
) -> None:
    """Wait for what a server is to say; while it does not answer, it has not said it.

    Raises:
        LabError: It did not come true in time; says the problem.
    """

    def is_said() -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):  # nobody listens yet
            return is_true()
        return False

    wait_until(is_said, timeout_s=timeout_s, problem=problem, next_step=next_step, poll_s=POLL_S)
