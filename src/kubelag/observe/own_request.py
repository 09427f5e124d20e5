"""Sends one of the command's requests once more, by kubelag's own client, and keeps its phases.

A client's log tells of a request only how long it took. Our own client tells the credential
plugin, connecting, TLS, the server and the transfer apart, and it is no kubectl. It writes
nothing, reads no cache, and asks nobody at a terminal for anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kubelag.errors import ApiError, CredentialError, KubelagError, TransportError
from kubelag.kube.client import Client, Settings
from kubelag.kube.command import parse_command
from kubelag.kube.config.kubeconfig import Kubeconfig
from kubelag.kube.config.overrides import overrides_of
from kubelag.kube.reading import ACCEPT_TABLE
from kubelag.kube.redact import redact_text
from kubelag.kube.transport.endpoint import parse_endpoint
from kubelag.kube.transport.events import Phase, RequestDone
from kubelag.model.evidence import Look, OwnPhase, OwnRequest, Request

if TYPE_CHECKING:
    from kubelag.kube.transport.events import Event

OBSERVER = "own_request"

# A server that answered once answers again in twice the time. Ten seconds are what our client gives
# a connection, which the client's log may not have counted. Both are arbitrary. A credential plugin
# has a limit of its own, a minute.
_PATIENCE_RATIO, _PATIENCE_S = 2.0, 10.0
_KEPT_CHARS = 300
_NS_PER_S = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What is to be sent, and as whom."""

    argv: tuple[str, ...] = field(repr=False)
    """The command in full: its flags say which server, and as whom."""
    env: Mapping[str, str] = field(repr=False)
    request: Request
    """A reading one, as the command's own log tells it."""

    @property
    def patience_s(self) -> float:
        """How long all of it may take, the plugin aside."""
        took_ns = self.request.end_ns - self.request.start_ns
        return _PATIENCE_RATIO * took_ns / _NS_PER_S + _PATIENCE_S


def ask(asking: Asking) -> tuple[OwnRequest | None, Look]:
    """Send the request; whatever fails is told in the look, and never raised."""
    events: list[Event] = []
    try:
        why = _send(asking, events)
    except KubelagError as error:
        why = error.message
    except Exception as error:  # noqa: BLE001 - the runner of this observer; told in the report
        why = f"it crashed: {type(error).__name__}: {error}"
    seen = seen_of(asking.request, events)
    if seen is None or seen.status is None:
        return seen, Look(observer=OBSERVER, state="could_not_look", how=redact_text(why))
    how = "one request by kubelag's own client, after the observed run"
    return seen, Look(observer=OBSERVER, state="looked", how=how, events=len(seen.phases))


def not_asked(why: str) -> Look:
    """That nothing was sent, and why."""
    return Look(observer=OBSERVER, state="not_asked", how=why)


def _send(asking: Asking, events: "list[Event]") -> str:
    """Send it; why the server refused, empty where it did not."""
    settings = Settings(cache="memory", timeout_s=asking.patience_s)
    command = parse_command(asking.argv)
    client = Client(overrides_of(command), settings=settings, observe=events.append, env=asking.env)
    client.kubeconfig = asking_nobody(client.kubeconfig)
    path = path_below(client.server, asking.request.url)
    try:
        client.request(path, accept=accept_of(asking.argv))
    except ApiError as error:
        return error.message
    finally:
        client.forget_connections()
    return ""


def asking_nobody(config: Kubeconfig) -> Kubeconfig:
    """The kubeconfig with a plugin that must do without a terminal.

    Raises:
        CredentialError: Where it says that it cannot.
    """
    spec = config.exec_spec
    if spec is None:
        return config
    if spec.interactive_mode == "Always":
        raise CredentialError(f"the exec plugin {spec.command} always wants a terminal")
    return config.but(user=config.user.but(exec=spec.but(interactive_mode="Never")))


def path_below(server: str, url: str) -> str:
    """What follows the server's own prefix, which our client puts before every path.

    Raises:
        TransportError: Where the request went beside it, as `get --raw` does.
    """
    prefix = parse_endpoint(server, "server of the kubeconfig").prefix
    parts = urlsplit(url)
    if not parts.path.startswith(f"{prefix}/"):
        raise TransportError(f"{parts.path} is not below the kubeconfig's server {prefix}")
    path = parts.path.removeprefix(prefix)
    return f"{path}?{parts.query}" if parts.query else path


def accept_of(argv: Sequence[str]) -> str:
    """As `kubectl get` asks: for a table where a table is shown."""
    command = parse_command(argv)
    formats = {command.value("o"), command.value("output"), *command.words}
    is_formatted = command.has("o", "output", "template", "raw") and "wide" not in formats
    is_table = command.verb == "get" and not is_formatted
    return ACCEPT_TABLE if is_table else "application/json"


def seen_of(request: Request, events: "Sequence[Event]") -> OwnRequest | None:
    """What was told; None where nothing was."""
    phases = tuple(_kept(event) for event in events if isinstance(event, Phase))
    done = next((event for event in events if isinstance(event, RequestDone)), None)
    if done is None and not phases:
        return None
    return OwnRequest(
        verb=request.verb,
        url=redact_text(request.url),
        status=done.status if done else None,
        took_ns=done.ended_ns - done.began_ns if done else sum(one.took_ns for one in phases),
        phases=phases,
    )


def _kept(phase: Phase) -> OwnPhase:
    return OwnPhase(
        kind=phase.kind,
        took_ns=phase.ended_ns - phase.began_ns,
        detail=redact_text(phase.detail)[:_KEPT_CHARS],
        is_failure=phase.is_failure,
    )
