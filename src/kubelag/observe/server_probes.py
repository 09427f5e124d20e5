"""Sends simpler requests than the command's own, so that it shows which part of a server is slow.

- `health`: `/livez` as nobody: connection and server, without authentication.
- `health_as_user`: the same with the user's credential: what is more is authentication.
- `from_memory`: the command's slowest reading request with `resourceVersion=0`, which an API
  server answers from its own memory, without etcd.
- `again`: its twin right beside it, as the command sent it.

Each is sent twice over a connection of its own, in the order A B B A, and the faster one is kept:
what makes a single request slow by chance is gone then, and what makes every one slow stays. A
credential plugin runs once at most.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit, urlunsplit

from kubelag.errors import ApiError, KubelagError
from kubelag.kube.client import Client, Settings
from kubelag.kube.command import parse_command
from kubelag.kube.config.kubeconfig import User
from kubelag.kube.config.overrides import overrides_of
from kubelag.kube.redact import redact_text
from kubelag.model.evidence import Look, OwnRequest, Request
from kubelag.model.units import counted
from kubelag.observe.own_request import accept_of, asking_nobody, path_below, seen_of

if TYPE_CHECKING:
    from kubelag.kube.transport.events import Event

OBSERVER = "server_probes"
_HEALTH = "/livez"
_LEVEL_HEADER = "x-kubernetes-pf-prioritylevel-uid"

# What the observed request took, three times (the twins, and one again), and ten seconds for
# connecting. Both are arbitrary.
_PATIENCE_RATIO, _PATIENCE_S = 3.0, 10.0
_NS_PER_S = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """Which server is probed, as whom, and with which request."""

    argv: tuple[str, ...] = field(repr=False)
    """The command in full: its flags say which server, and as whom."""
    env: Mapping[str, str] = field(repr=False)
    target: Request | None = None
    """The command's slowest reading request; None where it has none."""
    clock: Callable[[], float] = time.monotonic
    """Seconds."""

    @property
    def patience_s(self) -> float:
        """How long all of it may take, a plugin aside."""
        took_ns = self.target.end_ns - self.target.start_ns if self.target else 0
        return _PATIENCE_RATIO * took_ns / _NS_PER_S + _PATIENCE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """One request that is to be sent."""

    purpose: str
    request: Request
    """As a log would have it."""
    path: str
    """Below the server's prefix."""
    accept: str = "application/json"
    is_nobody: bool = False


def probe_server(probed: Probed) -> tuple[tuple[OwnRequest, ...], Look]:
    """Send them all; whatever fails is told in the look, and never raised.

    Returns:
        One of each purpose, in the order of the module's list; what was not sent is left out.
    """
    kept: dict[str, list[OwnRequest]] = {}
    try:
        why = _Sending(probed).send_all(kept)
    except KubelagError as error:
        why = [error.message]
    except Exception as error:  # noqa: BLE001 - the runner of this observer; told in the report
        why = [f"it crashed: {type(error).__name__}: {error}"]
    found = tuple(min(tries, key=_own_ns) for tries in kept.values())
    said = redact_text("; ".join(dict.fromkeys(why)))
    if not any(one.status is not None for one in found):
        how = said or "no answer came"
        return found, Look(observer=OBSERVER, state="could_not_look", how=how)
    how = f"{counted(len(found), 'request')} by kubelag's own client, the faster of two each"
    how = f"{how}; {said}" if said else how
    return found, Look(observer=OBSERVER, state="looked", how=how, events=len(found))


def with_memory_only(url: str) -> str:
    """The URL with `resourceVersion=0`; empty where it says which version it wants."""
    parts = urlsplit(url)
    if "resourceVersion" in parse_qs(parts.query, keep_blank_values=True):
        return ""
    query = "&".join(filter(None, (parts.query, "resourceVersion=0")))
    return urlunsplit(parts._replace(query=query))


class _Sending:
    """The requests of one server, each over a connection of its own."""

    def __init__(self, probed: Probed) -> None:
        self._probed = probed
        self._events: list[Event] = []
        self._until_s = probed.clock() + probed.patience_s
        self._user = self._client()
        self._user.kubeconfig = asking_nobody(self._user.kubeconfig)
        self._nobody = self._client()
        self._nobody.kubeconfig = self._nobody.kubeconfig.but(user=User())

    def send_all(self, kept: dict[str, list[OwnRequest]]) -> list[str]:
        """Send every pair there and back; why something was not answered."""
        pairs = [one for one in (self._health_pair(), self._memory_pair()) if one]
        plans = [plan for order in (1, -1) for pair in pairs for plan in pair[::order]]
        try:
            return [said for plan in plans if (said := self._send(plan, kept))]
        finally:
            self._user.forget_connections()
            self._nobody.forget_connections()

    def _client(self) -> Client:
        overrides = overrides_of(parse_command(self._probed.argv))
        return Client(
            overrides,
            settings=Settings(cache="memory"),
            observe=self._events.append,
            env=self._probed.env,
        )

    def _health_pair(self) -> Sequence[_Plan]:
        url = f"{self._user.address.rstrip('/')}{_HEALTH}"
        request = Request(verb="GET", url=url, status=None, start_ns=0, end_ns=0)
        return (
            _Plan(purpose="health", request=request, path=_HEALTH, is_nobody=True),
            _Plan(purpose="health_as_user", request=request, path=_HEALTH),
        )

    def _memory_pair(self) -> Sequence[_Plan]:
        target = self._probed.target
        url = with_memory_only(target.url) if target and target.verb == "GET" else ""
        if target is None or not url:
            return ()
        accept = accept_of(self._probed.argv)
        path, server = path_below(self._user.server, target.url), self._user.server
        memory = Request(verb="GET", url=url, status=None, start_ns=0, end_ns=0)
        return (
            _Plan(
                purpose="from_memory", request=memory, path=path_below(server, url), accept=accept
            ),
            _Plan(purpose="again", request=target, path=path, accept=accept),
        )

    def _send(self, plan: _Plan, kept: dict[str, list[OwnRequest]]) -> str:
        """Why it was not answered; empty where it was, even with a refusal."""
        left_s = self._until_s - self._probed.clock()
        if left_s <= 0:
            return f"{plan.purpose} was not sent again, since the time was over"
        client = self._nobody if plan.is_nobody else self._user
        client.settings = client.settings.but(timeout_s=left_s)
        self._events.clear()
        why = level = ""
        try:
            answer = client.request(plan.path, accept=plan.accept)
            level = answer.headers.get(_LEVEL_HEADER, "")
        except ApiError:
            pass
        except KubelagError as error:
            why = f"{plan.purpose}: {error.message}"
        finally:
            # So that the next one connects anew; the credential is kept.
            client.forget_connections()
        seen = seen_of(plan.request, self._events)
        if seen is not None:
            # A plugin has a limit of its own, which is not taken from the others.
            self._until_s += seen.spent_ns("credential") / _NS_PER_S
            kept.setdefault(plan.purpose, []).append(
                replace(seen, purpose=plan.purpose, priority_level=level)
            )
        return why


def _own_ns(one: OwnRequest) -> tuple[bool, int]:
    """How fast it was, its plugin aside; what was not answered comes last."""
    return one.status is None, one.took_ns - one.spent_ns("credential")
