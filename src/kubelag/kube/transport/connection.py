"""One connection at work: sends requests, reads answers, tells when each began and ended."""

import time

from kubelag.errors import TransportError
from kubelag.kube.lean.sockets import is_readable
from kubelag.kube.lean.tls import WantReadError
from kubelag.kube.record import Record
from kubelag.kube.transport.events import Phase, Waiting
from kubelag.kube.transport.messages import (
    Broken,
    Data,
    End,
    Head,
    ProtocolError,
    Request,
    Response,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kubelag.kube.transport.dial import Line
    from kubelag.kube.transport.events import Observer
    from kubelag.kube.transport.messages import Conversation

_READ_BYTES = 256 * 1024
_SIGN_S = 1.0
"""How long nothing may come before somebody is told that we wait. Arbitrary: when people begin to
wonder."""


class Limits(Record):
    """What an answer may cost."""

    deadline_s: float
    """When everything must be there; `time.monotonic` seconds."""
    allowed_s: float = float("inf")
    """How long that was from the beginning, for messages."""
    silence_s: float = 60.0
    """How long the server may say nothing while it owes an answer. kubectl waits for ever; a
    minute is what the API server itself gives a request (`--request-timeout`)."""
    body_bytes: int = 512 * 1024 * 1024
    """The longest body. Arbitrary: some hundred times the largest list seen."""


class Job(Record):
    """A request with its number."""

    number: int
    """The client's number of it, from 1."""
    request: Request


class Failure(Record):
    """A job that came to no answer."""

    error: TransportError
    is_unprocessed: bool = False
    """Whether the server is known not to have acted on it."""
    is_final: bool = False
    """Whether the same would happen again: out of time, or too long."""


Outcome = Response | Failure


class _Answer:
    """One answer while it comes."""

    def __init__(self, job: Job, sent_ns: int) -> None:
        self.job = job
        self.sent_ns = sent_ns
        self.head: Head | None = None
        self.head_ns = 0
        self.pieces: list[bytes] = []
        self.size_bytes = 0

    def response(self) -> Response:
        head = self.head
        if head is None:
            raise ProtocolError("an answer without a head")
        return Response(status=head.status, headers=head.headers, body=b"".join(self.pieces))


class Connection:
    """A line with the conversation on it; used by one thread at a time.

    Args:
        number: The client's number of it, from 1.
        line: The socket.
        conversation: HTTP/2 or HTTP/1.1.
        observe: Told of every answer's phases.
        authority: The server, for messages.
    """

    def __init__(
        self,
        number: int,
        line: "Line",
        conversation: "Conversation",
        observe: "Observer",
        authority: str,
    ) -> None:
        self.number = number
        self.line = line
        self._conversation = conversation
        self._observe = observe
        self._authority = authority
        self._is_lost = False

    @property
    def is_open(self) -> bool:
        """Whether it can take another request."""
        return not self._is_lost and self._conversation.is_open()

    @property
    def is_multiplexed(self) -> bool:
        """Whether it takes many requests at a time."""
        return self.line.protocol == "h2"

    def is_usable(self) -> bool:
        """Whether an idle connection may be used again: nothing came that nobody asked for.

        Over HTTP/2 a server may say a word about the connection itself; over HTTP/1.1 whatever came
        would be taken for the next answer, such as the 408 before a balancer closes.
        """
        if not self.is_open or not is_readable(self.line.socket):
            return self.is_open
        return self.is_multiplexed and self._takes_in()

    def _takes_in(self) -> bool:
        try:
            self.line.socket.settimeout(0.0)
            self._conversation.receive(self.line.socket.recv(_READ_BYTES))
        except (BlockingIOError, WantReadError):
            return True  # half a TLS record
        except (OSError, ProtocolError):
            return False
        return self.is_open

    def close(self) -> None:
        """Let go of the socket."""
        self.line.socket.close()

    def exchange(
        self, jobs: "Iterable[Job]", limits: Limits, deliver: "Callable[[Job, Outcome], None]"
    ) -> None:
        """Send the requests, and deliver what becomes of each, in the order of the answers.

        After a failure of the connection itself it is closed, and `is_open` is false.
        """
        waiting = list(reversed(list(jobs)))
        answers: dict[int, _Answer] = {}
        try:
            while waiting or answers:
                self._send(waiting, answers, limits)
                self._receive(answers, limits, deliver)
        except (OSError, ProtocolError, TransportError) as error:
            self._fail(error, waiting, answers, deliver)
        finally:
            if not self.is_open:
                self.close()

    def _send(self, waiting: list[Job], answers: dict[int, _Answer], limits: Limits) -> None:
        while waiting and self._conversation.capacity() > 0:
            job = waiting.pop()
            stream = self._conversation.send(job.request)
            answers[stream] = _Answer(job, time.perf_counter_ns())
        self._flush(limits)
        if not answers:
            raise ProtocolError("the server takes no more requests on this connection")

    def _flush(self, limits: Limits) -> None:
        if data := self._conversation.data_to_send():
            left_s = limits.deadline_s - time.monotonic()
            self.line.socket.settimeout(max(0.001, min(left_s, limits.silence_s)))
            self.line.socket.sendall(data)

    def _receive(
        self,
        answers: dict[int, _Answer],
        limits: Limits,
        deliver: "Callable[[Job, Outcome], None]",
    ) -> None:
        data = self._read(limits, len(answers))
        for event in self._conversation.receive(data):
            answer = answers.get(event.stream)
            if answer is None:
                continue
            if isinstance(event, Data):
                self._collect(answer, event.data, limits)
            elif isinstance(event, Head):
                answer.head, answer.head_ns = event, time.perf_counter_ns()
                self._tell("server", answer, answer.sent_ns, answer.head_ns)
            elif isinstance(event, End):
                del answers[event.stream]
                self._tell("transfer", answer, answer.head_ns, time.perf_counter_ns())
                deliver(answer.job, answer.response())
            elif isinstance(event, Broken):
                del answers[event.stream]
                deliver(answer.job, self._broken(event))
        self._flush(limits)

    def _read(self, limits: Limits, owed: int) -> bytes:
        """What comes next; every second in which nothing does is told."""
        began = time.monotonic()
        end = min(limits.deadline_s, began + limits.silence_s)
        while True:
            left_s = end - time.monotonic()
            waited_s = time.monotonic() - began
            if left_s <= 0:  # a deadline is one also where something keeps coming
                raise self._too_late(min(limits.silence_s, limits.allowed_s))
            if waited_s >= _SIGN_S:
                self._observe(Waiting(server=self._authority, waited_s=waited_s, answers=owed))
            self.line.socket.settimeout(min(left_s, _SIGN_S))
            try:
                return self.line.socket.recv(_READ_BYTES)
            except TimeoutError:
                continue

    def _too_late(self, allowed_s: float) -> TransportError:
        return TransportError(
            f"{self._authority} gave no answer within {allowed_s:.3g} s",
            "look at the API server's load, or allow more with --request-timeout",
        )

    def _collect(self, answer: _Answer, data: bytes, limits: Limits) -> None:
        answer.size_bytes += len(data)
        if answer.size_bytes > limits.body_bytes:
            raise TransportError(
                f"the answer of {self._authority} to {answer.job.request.target.partition('?')[0]} "
                f"is longer than {limits.body_bytes // 1024**2} MiB",
                "ask for less: a namespace, a selector, or --chunk-size",
            )
        answer.pieces.append(data)

    def _tell(self, kind: "str", answer: _Answer, began_ns: int, ended_ns: int) -> None:
        self._observe(
            Phase(
                kind=kind,  # type: ignore[arg-type]  # only called with phase kinds
                began_ns=began_ns,
                ended_ns=ended_ns,
                request=answer.job.number,
                connection=self.number,
                detail=self.line.address,
            )
        )

    def _broken(self, event: Broken) -> Failure:
        message = f"{self._authority} broke the answer off: {event.why}"
        error = TransportError(message, "try again; if it stays so, look at what is in between")
        return Failure(error=error, is_unprocessed=event.is_unprocessed)

    def _fail(
        self,
        error: Exception,
        waiting: list[Job],
        answers: dict[int, _Answer],
        deliver: "Callable[[Job, Outcome], None]",
    ) -> None:
        """The connection itself failed: so did everything on it."""
        self.close()
        self._is_lost = True
        shown = error if isinstance(error, TransportError) else self._lost(error)
        for answer in answers.values():
            deliver(answer.job, Failure(error=shown, is_final=isinstance(error, TransportError)))
        for job in waiting:
            deliver(job, Failure(error=shown, is_unprocessed=True))

    def _lost(self, error: Exception) -> TransportError:
        said = getattr(error, "strerror", None) or str(error)
        return TransportError(
            f"the connection to {self._authority} was lost: {said.lower()}",
            "try again; if it stays so, look at what is in between",
        )
