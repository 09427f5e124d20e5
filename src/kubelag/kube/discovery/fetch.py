"""Asks a server what it offers: two requests where it aggregates, one for each group-version else.

Nothing of what fails costs the rest: a group-version that cannot be had is remembered as such for
a short while, with its last good list; an empty one is remembered as empty.
"""

import time

from kubelag.errors import TransportError
from kubelag.kube.answers import error_of
from kubelag.kube.discovery.documents import (
    ACCEPT_AGGREGATED,
    DocumentError,
    Part,
    group_version_of,
    read_json,
    read_part,
    read_resources,
)
from kubelag.kube.discovery.snapshot import GroupVersion, Snapshot
from kubelag.kube.record import Record
from kubelag.kube.session import Ask
from kubelag.kube.shown import without_user

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from kubelag.kube.session import Session
    from kubelag.kube.transport.messages import Response

    Keep = Callable[[str, str, Response], None]
    """Told every answer worth keeping: path with query, Accept, answer."""

DISCOVERY_TIMEOUT_S = 32.0
"""For all of a discovery. Source: `defaultTimeout` of client-go's discovery client, which also
puts it into every URL, and so into the names of HTTP cache entries."""
FAILED_S = 60.0
"""How long a group-version that failed is left alone. Arbitrary: short beside the six hours of a
good one, long beside a loop in a script."""
PATHS = ("/api", "/apis")
_OK, _NOT_MODIFIED, _NOT_FOUND = 200, 304, 404


class Begun(Record):
    """A discovery that has begun."""

    parts: "tuple[Part, ...]"
    """What `/api` and `/apis` told."""
    known: "Mapping[str, GroupVersion | None]"
    """Every group-version by name, in order; None for what has not been asked for yet."""

    @property
    def core(self) -> str | None:
        """The core group's preferred version; None where there is none."""
        groups = self.parts[0].groups
        return groups[0].preferred if groups and groups[0].preferred else None


class Fetcher:
    """Fetches discovery from one server.

    Args:
        session: Sends.
        server: The server's URL as the kubeconfig spells it.
        keep: Told every answer that an HTTP cache may hold.
        timeout_s: For a round of requests side by side, and there are at most two.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        session: "Session",
        server: str,
        keep: "Keep",
        *,
        timeout_s: float = DISCOVERY_TIMEOUT_S,
        clock: "Callable[[], float]" = time.time,
    ) -> None:
        self._session = session
        self._server = server
        self._keep = keep
        self._timeout_s = timeout_s
        self._clock = clock

    def fetch(self, last: Snapshot | None = None) -> Snapshot:
        """All that the server offers.

        Args:
            last: What was known; where the server says that it still holds, two requests are all.

        Raises:
            TransportError: If the server cannot be asked.
            ApiError: If it refuses to tell.
        """
        return self.finish(self.begin(last), last)

    def begin(self, last: Snapshot | None = None) -> "Begun":
        """The two lists; where the server aggregates, that is all there is to be had.

        Raises:
            TransportError: If the server cannot be asked.
            ApiError: If it refuses to tell.
        """
        parts = self._parts(last)
        known: dict[str, GroupVersion | None] = {}
        for part in parts:
            for group in part.groups:
                names = (f"{group.name}/{one}" if group.name else one for one in group.versions)
                known |= {name: part.group_versions.get(name) for name in names}
        return Begun(parts=tuple(parts), known=known)

    def with_core(self, begun: "Begun") -> "Begun":
        """The core group's resources too."""
        name = begun.core
        if name is None or begun.known[name] is not None:
            return begun
        return begun.but(known={**begun.known, **self._resources([name])})

    def finish(self, begun: "Begun", last: Snapshot | None = None) -> Snapshot:
        """All that is still missing."""
        parts = begun.parts
        missing = [name for name, found in begun.known.items() if found is None]
        fetched = self._resources(missing)
        known = {name: found or fetched[name] for name, found in begun.known.items()}
        formats = {part.format for part in parts}
        return Snapshot(
            server=self._server,
            fetched_s=self._clock(),
            source=formats.pop() if len(formats) == 1 else "legacy",
            groups=tuple(group for part in parts for group in part.groups),
            group_versions={name: self._settled(one, last) for name, one in known.items()},
            etags={path: part.etag for path, part in zip(PATHS, parts, strict=True) if part.etag},
        )

    def renew(self, last: Snapshot, names: "Iterable[str]") -> Snapshot:
        """What was known, with these group-versions asked for anew."""
        fetched = self._resources(list(names))
        renewed = {name: self._settled(one, last) for name, one in fetched.items()}
        return last.but(group_versions={**last.group_versions, **renewed})

    def _parts(self, last: Snapshot | None) -> list[Part]:
        asks = [self._ask(path, last) for path in PATHS]
        answers = self._session.send_all(asks, self._timeout_s)
        parts = []
        for path, ask, answer in zip(PATHS, asks, answers, strict=True):
            if isinstance(answer, TransportError):
                raise answer
            parts.append(self._part(path, ask, answer, last))
        if not any(part.groups for part in parts):
            refusals = [one for one in answers if not isinstance(one, TransportError)]
            raise error_of(refusals[0], "GET", "/api", without_user(self._server))
        return parts

    def _ask(self, path: str, last: Snapshot | None) -> Ask:
        etag = last.etags.get(path) if last is not None else None
        conditions = (("if-none-match", etag),) if etag else ()
        return Ask(path=_with_timeout(path), accept=ACCEPT_AGGREGATED, headers=conditions)

    def _part(self, path: str, ask: Ask, answer: "Response", last: Snapshot | None) -> Part:
        if answer.status == _NOT_MODIFIED and last is not None and path in last.etags:
            return _known_part(path, last)
        if answer.status == _NOT_FOUND:
            # Client-go goes on without: a server may have only one of the two. Of a refusal it does
            # so too, but then half of the truth would be in a cache that others share.
            return Part(groups=(), group_versions={}, format="legacy")
        if answer.status != _OK:
            raise error_of(answer, "GET", path, without_user(self._server))
        content_type, etag = (answer.headers.get(name, "") for name in ("content-type", "etag"))
        try:
            part = read_part(path, answer.body, content_type, etag)
        except DocumentError as error:
            raise TransportError(
                f"{without_user(self._server)} answered {path} with something that is no "
                f"discovery: {error}",
                "check that the server's URL is an API server's, and what is in between",
            ) from error
        self._keep(ask.path, ask.accept, answer)
        return part

    def _resources(self, names: list[str]) -> "dict[str, GroupVersion]":
        asks = [Ask(path=_with_timeout(_path(name))) for name in names]
        answers = self._session.send_all(asks, self._timeout_s) if asks else []
        found = {}
        for name, ask, answer in zip(names, asks, answers, strict=True):
            found[name] = self._group_version(name, answer)
            if found[name].state == "ok" and not isinstance(answer, TransportError):
                self._keep(ask.path, ask.accept, answer)
        return found

    def _group_version(self, name: str, answer: "Response | TransportError") -> GroupVersion:
        if isinstance(answer, TransportError):
            return GroupVersion(name=name, state="failed", why=answer.message)
        if answer.status != _OK:
            return GroupVersion(name=name, state="failed", why=f"HTTP {answer.status}")
        try:
            return group_version_of(name, read_resources(read_json(answer.body), name))
        except DocumentError as error:
            return GroupVersion(
                name=name, state="failed", why=f"its document is not right: {error}"
            )

    def _settled(self, found: GroupVersion, last: Snapshot | None) -> GroupVersion:
        """One that failed keeps its last good list, and is left alone for a while."""
        if found.state not in {"failed", "stale"}:
            return found
        before = last.group_versions.get(found.name) if last is not None else None
        resources = before.resources if before is not None else ()
        return found.but(resources=resources, until_s=self._clock() + FAILED_S)


def _known_part(path: str, last: Snapshot) -> Part:
    """What was known, since the server says that it still holds."""
    is_core = path == "/api"
    groups = tuple(group for group in last.groups if (group.name == "") == is_core)
    known = {name: one for name, one in last.group_versions.items() if ("/" not in name) == is_core}
    told = last.source if last.source != "kubectl" else "v2"
    return Part(groups=groups, group_versions=known, format=told, etag=last.etags[path])


def _path(name: str) -> str:
    return f"/apis/{name}" if "/" in name else f"/api/{name}"


def _with_timeout(path: str) -> str:
    return f"{path}?timeout={DISCOVERY_TIMEOUT_S:.0f}s"
