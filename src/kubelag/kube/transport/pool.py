"""Keeps connections and shares requests out: all on one where it is HTTP/2, else on several."""

import os

from kubelag.errors import KubelagError, TransportError
from kubelag.kube.transport.connection import Connection, Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubelag.kube.auth.credentials import ClientCertificate
    from kubelag.kube.transport.connection import Job, Limits, Outcome
    from kubelag.kube.transport.dial import Dialer, Line
    from kubelag.kube.transport.events import Observer
    from kubelag.kube.transport.messages import Conversation

HTTP1_CONNECTIONS = 16
"""How many connections carry a burst of requests over HTTP/1.1. Each costs a handshake; with 16,
150 requests at 20 ms of latency took 0.3 s (2026-09, own measurement); kubectl opens 45 to 61."""


class Pool:
    """The connections to one server; safe to use from several threads.

    Args:
        dialer: Makes them.
        observe: Told of every answer's phases.
    """

    def __init__(self, dialer: "Dialer", observe: "Observer") -> None:
        import _thread  # noqa: PLC0415 -- `threading` would cost 2 ms more

        self._dialer = dialer
        self._observe = observe
        self._idle: list[Connection] = []
        self._made = 0
        self._is_http1_only = False
        self._lock = _thread.allocate_lock()
        self._pid = os.getpid()

    def run(self, jobs: "Sequence[Job]", limits: "Limits") -> "dict[int, tuple[int, Outcome]]":
        """Send the requests; by number, the connection's number and what became of it."""
        found: dict[int, tuple[int, Outcome]] = {}
        connection = self._take(limits, for_many=len(jobs) > 1)
        if isinstance(connection, TransportError):
            return {job.number: (0, Failure(error=connection)) for job in jobs}
        if connection.is_multiplexed or len(jobs) == 1:
            self._work(connection, jobs, limits, found)
        else:
            self._share(connection, jobs, limits, found)
        return found

    def use_certificate(self, certificate: "ClientCertificate | None") -> None:
        """Present this one from the next connection on."""
        self._dialer.use_certificate(certificate)

    def close(self) -> None:
        """Let go of every connection that is idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self, limits: "Limits", *, for_many: bool) -> "Connection | TransportError":
        self._leave_to_parent()
        with self._lock:
            if kept := self._kept(for_many=for_many):
                return kept
            self._made += 1
            number = self._made
        try:
            line = self._dialer.connect(number, limits.deadline_s, for_many=for_many)
        except TransportError as error:
            return error
        authority = self._dialer.route.server.authority
        made = Connection(number, line, _conversation(line, authority), self._observe, authority)
        self._is_http1_only |= for_many and not made.is_multiplexed
        return made

    def _kept(self, *, for_many: bool) -> Connection | None:
        """An idle connection that suits, the youngest first; those that died are closed."""
        for idle in list(reversed(self._idle)):
            if idle.is_multiplexed or not for_many or self._is_http1_only:
                self._idle.remove(idle)
                if idle.is_usable():
                    return idle
                idle.close()
        return None

    def _leave_to_parent(self) -> None:
        """After a fork the connections are the parent's, whose answers would come to both."""
        if self._pid == os.getpid():
            return
        import _thread  # noqa: PLC0415 -- as above

        self._pid = os.getpid()
        self._lock = _thread.allocate_lock()
        self.close()

    def _give_back(self, connection: Connection) -> None:
        if connection.is_open:
            with self._lock:
                self._idle.append(connection)

    def _work(
        self,
        connection: Connection,
        jobs: "Sequence[Job]",
        limits: "Limits",
        found: "dict[int, tuple[int, Outcome]]",
    ) -> None:
        def deliver(job: "Job", outcome: "Outcome") -> None:
            found[job.number] = connection.number, outcome

        try:
            connection.exchange(jobs, limits, deliver)
        except BaseException:
            # Answers may still be under way on it, which would be taken for the next one's.
            connection.close()
            raise
        self._give_back(connection)

    def _share(
        self,
        first: Connection,
        jobs: "Sequence[Job]",
        limits: "Limits",
        found: "dict[int, tuple[int, Outcome]]",
    ) -> None:
        """Every connection takes the next request as soon as it is done with the last."""
        from threading import Thread  # noqa: PLC0415 -- only over HTTP/1.1

        waiting = list(reversed(jobs))
        errors: list[BaseException] = []

        def carry(connection: "Connection | None") -> None:
            try:
                self._carry(connection, waiting, limits, found)
            except KubelagError as error:
                errors.append(error)

        count = min(len(jobs), HTTP1_CONNECTIONS) - 1
        threads = [Thread(target=carry, args=(None,), daemon=True) for _ in range(count)]
        for thread in threads:
            thread.start()
        carry(first)
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]

    def _carry(
        self,
        connection: "Connection | None",
        waiting: "list[Job]",
        limits: "Limits",
        found: "dict[int, tuple[int, Outcome]]",
    ) -> None:
        while True:
            try:
                job = waiting.pop()
            except IndexError:
                break  # the others were quicker
            taken = connection or self._take(limits, for_many=False)
            if isinstance(taken, TransportError):
                found[job.number] = 0, Failure(error=taken)
                continue
            self._work(taken, [job], limits, found)
            connection = None
        if connection is not None:
            self._give_back(connection)


def _conversation(line: "Line", authority: str) -> "Conversation":
    if line.protocol == "h2":
        from kubelag.kube.transport.http2 import Http2  # noqa: PLC0415 -- one of the two is used

        return Http2(authority)
    from kubelag.kube.transport.http1 import Http1  # noqa: PLC0415 -- the same

    return Http1(authority)
