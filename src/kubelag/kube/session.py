"""Sends requests as somebody: credentials, patience, repetition, compression.

Repeated is what cannot do harm: requests that the server certainly did not act on, and reading
ones (RFC 9110 §9.2.2) whose connection was lost. Retry-After is honoured as client-go does
(`rest/with_retry.go`: 429, and 5xx with the header, ten times at most).
"""

import time
from itertools import count

from kubelag.errors import TransportError
from kubelag.kube.record import Record, hidden
from kubelag.kube.transport.connection import Failure, Job, Limits
from kubelag.kube.transport.events import Phase, RequestDone
from kubelag.kube.transport.messages import Request, Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kubelag.kube.auth.credentials import Credentials
    from kubelag.kube.transport.connection import Outcome
    from kubelag.kube.transport.events import Observer
    from kubelag.kube.transport.pool import Pool

UNAUTHORIZED = 401
TOO_MANY_REQUESTS = 429
SERVER_ERRORS = range(500, 600)
PATIENCE = 10
"""How often Retry-After is followed. Source: `maxRetries` of client-go's `rest.Request`."""
LOST_CONNECTIONS = 2
"""How often a request is sent again after its connection was lost. Arbitrary: once for a kept
connection that the server had closed, once for a server that goes down behind a balancer."""
LONGEST_WAIT_S = 60.0
"""The longest Retry-After that is followed. Arbitrary: longer than any API server asks for."""
NO_LIMIT_S = 24 * 3600.0
"""What stands for `--request-timeout=0`; the silence limit still holds."""
_CODING_HEADERS = frozenset({"content-encoding", "content-length"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class Ask(Record):
    """A request before it has a credential."""

    path: str
    """Below the server's prefix; with its query, percent-encoded, beginning with `/`."""
    accept: str = "application/json"
    method: str = "GET"
    headers: "tuple[tuple[str, str], ...]" = ()
    """Others, lower-case names."""
    body: bytes = hidden(default=b"")


class Manner(Record):
    """How requests to one server are written."""

    authority: str
    """The server, for messages."""
    prefix: str = ""
    """What comes before every path: the server's own, after scheme and host if a proxy forwards."""
    user_agent: str
    is_compressed: bool = True
    """Whether answers may come compressed."""
    headers: "tuple[tuple[str, str], ...]" = hidden(default=())
    """Others of every request; may hold a credential."""


class Session:
    """One user at one server.

    Args:
        manner: How requests are written.
        pool: Sends them.
        credentials: Who we are.
        observe: Told of waits and ends.
        sleep: Waits.
    """

    def __init__(
        self,
        manner: Manner,
        pool: "Pool",
        credentials: "Credentials",
        observe: "Observer",
        *,
        sleep: "Callable[[float], None]" = time.sleep,
    ) -> None:
        self._manner = manner
        self._pool = pool
        self._credentials = credentials
        self._observe = observe
        self._sleep = sleep
        self._numbers = count(1)

    def send(self, ask: Ask, timeout_s: float | None = None) -> Response:
        """One request, one answer, whatever its status.

        Raises:
            TransportError: If no answer came.
            CredentialError: If there is no credential to be had.
            KubeconfigError: If what the kubeconfig names cannot be used.
        """
        outcome = self.send_all([ask], timeout_s)[0]
        if isinstance(outcome, TransportError):
            raise outcome
        return outcome

    def send_all(
        self, asks: "Sequence[Ask]", timeout_s: float | None = None
    ) -> "list[Response | TransportError]":
        """Several requests side by side; what became of each, in their order.

        Args:
            asks: The requests.
            timeout_s: For all of it, waits and repetitions too; None or 0 for no limit.

        Raises:
            CredentialError: If there is no credential to be had.
            KubeconfigError: If what the kubeconfig names cannot be used.
        """
        allowed_s = timeout_s or NO_LIMIT_S
        limits = Limits(deadline_s=time.monotonic() + allowed_s, allowed_s=allowed_s)
        tries = [_Try(next(self._numbers), ask, time.perf_counter_ns()) for ask in asks]
        pending = tries
        while pending:
            self._attempt(pending, limits)
            pending = self._again(pending, limits)
        return [self._told(one) for one in tries]

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.close()

    def _attempt(self, tries: "Sequence[_Try]", limits: Limits) -> None:
        credential = self._credentials.headers()
        self._pool.use_certificate(self._credentials.certificate())
        jobs = [Job(number=one.number, request=self._request(one.ask, credential)) for one in tries]
        found = self._pool.run(jobs, limits)
        for one in tries:
            one.connection, one.outcome = found[one.number]

    def _request(self, ask: Ask, credential: "tuple[tuple[str, str], ...]") -> Request:
        compressed = (("accept-encoding", "gzip"),) if self._manner.is_compressed else ()
        headers = (
            ("accept", ask.accept),
            *compressed,
            ("user-agent", self._manner.user_agent),
            *self._manner.headers,
            *ask.headers,
            *credential,
        )
        target = self._manner.prefix + ask.path
        return Request(method=ask.method, target=target, headers=headers, body=ask.body)

    def _again(self, tries: "Sequence[_Try]", limits: Limits) -> "list[_Try]":
        """Those that are to be tried once more, after the wait that the server asked for."""
        refused = [one for one in tries if one.status() == UNAUTHORIZED and not one.is_renewed]
        renewed: list[_Try] = []
        if refused and self._credentials.refresh_after_401():
            self._pool.close()
            renewed = refused
            for one in renewed:
                one.is_renewed = True
        lost = [one for one in tries if one.may_be_repeated()]
        for one in lost:
            one.losses += 1
        longest_s = min(limits.deadline_s - time.monotonic(), LONGEST_WAIT_S)
        asked_to_wait = [one for one in tries if one.wait_s(longest_s) is not None]
        if asked_to_wait:
            self._wait(asked_to_wait, longest_s)
        return [one for one in tries if one in (*renewed, *lost, *asked_to_wait)]

    def _wait(self, tries: "Sequence[_Try]", longest_s: float) -> None:
        """Wait as long as the server asked for, for all of them together."""
        began = time.perf_counter_ns()
        self._sleep(max(one.wait_s(longest_s) or 0.0 for one in tries))
        for one in tries:
            one.waits += 1
            self._observe(
                Phase(
                    kind="wait",
                    began_ns=began,
                    ended_ns=time.perf_counter_ns(),
                    request=one.number,
                    detail=f"HTTP {one.status()} with Retry-After",
                )
            )

    def _told(self, one: "_Try") -> "Response | TransportError":
        outcome = one.outcome
        body, why = (
            (outcome.body, "") if isinstance(outcome, Response) else (b"", outcome.error.message)
        )
        self._observe(
            RequestDone(
                request=one.number,
                connection=one.connection or None,
                method=one.ask.method,
                target=one.ask.path,
                status=one.status(),
                began_ns=one.began_ns,
                ended_ns=time.perf_counter_ns(),
                received_bytes=len(body),
                why=why,
            )
        )
        if isinstance(outcome, Failure):
            return outcome.error
        return _unpacked(outcome, self._manner.authority)


class _Try:
    """One request on its way to an answer."""

    def __init__(self, number: int, ask: Ask, began_ns: int) -> None:
        self.number = number
        self.ask = ask
        self.began_ns = began_ns
        self.connection = 0
        self.outcome: Outcome = Failure(error=TransportError("not sent"))
        self.losses = 0
        self.waits = 0
        self.is_renewed = False

    def status(self) -> int | None:
        return self.outcome.status if isinstance(self.outcome, Response) else None

    def may_be_repeated(self) -> bool:
        """Whether its connection was lost, in a way that allows to send it again."""
        if not isinstance(self.outcome, Failure) or self.losses >= LOST_CONNECTIONS:
            return False
        is_lost = self.connection > 0 and not self.outcome.is_final
        return is_lost and (self.outcome.is_unprocessed or self.ask.method in _READING)

    def wait_s(self, longest_s: float) -> float | None:
        """How long the server asks to wait before the next try; None where it does not.

        Nor where it asks for more than there is.
        """
        if not isinstance(self.outcome, Response) or self.waits >= PATIENCE:
            return None
        status = self.outcome.status
        if status != TOO_MANY_REQUESTS and status not in SERVER_ERRORS:
            return None
        asked = self.outcome.headers.get("retry-after", "")
        if asked.isascii() and asked.isdigit():
            wait_s = float(asked)
        elif status == TOO_MANY_REQUESTS:
            wait_s = 1.0
        else:
            return None
        return wait_s if wait_s <= longest_s else None


def _unpacked(response: Response, authority: str) -> "Response | TransportError":
    """The answer with its content coding taken off."""
    coding = response.headers.get("content-encoding", "").strip().lower()
    if coding in {"", "identity"}:
        return response
    if coding == "gzip":
        body = _gunzip(response.body)
        if body is not None:
            kept = response.headers.items()
            return response.but(
                body=body,
                headers={name: text for name, text in kept if name not in _CODING_HEADERS},
            )
    return TransportError(
        f"{authority} sent an answer in the coding {coding!r} that cannot be read",
        "look at what is in between: a proxy may have damaged it",
    )


def _gunzip(body: bytes) -> bytes | None:
    import zlib  # noqa: PLC0415 -- only large answers are compressed

    unpacker = zlib.decompressobj(wbits=31)
    longest = Limits(deadline_s=0.0).body_bytes
    try:
        unpacked = unpacker.decompress(body, longest)
    except zlib.error:
        return None
    return unpacked if unpacker.eof else None
