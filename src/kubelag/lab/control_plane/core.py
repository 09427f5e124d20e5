"""The embedded API server without its sockets: a request in, a response out."""

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus

from kubelag.lab.control_plane import answers, delays, go_json, negotiation, statuses
from kubelag.lab.control_plane.builtin import Builtin
from kubelag.lab.control_plane.catalog import GroupVersion, build_catalog
from kubelag.lab.control_plane.discovery import aggregated_documents, legacy_documents
from kubelag.lab.control_plane.flow_control import flow_control_headers
from kubelag.lab.control_plane.identity import Identity, authenticate, may, refusal
from kubelag.lab.control_plane.lists import ListReader
from kubelag.lab.control_plane.messages import Request, Response
from kubelag.lab.control_plane.objects import FIRST_REVISION, build_collections
from kubelag.lab.control_plane.options import Aggregated, ControlPlaneOptions, Member
from kubelag.lab.control_plane.paths import Target, longest_prefix, parse_target
from kubelag.lab.control_plane.tokens import TokenUser

HEALTH_PATHS = ("/healthz", "/livez", "/readyz")
COMMON_PATHS = ("/apis", *HEALTH_PATHS, "/version")
"""What the innermost handler has, and tells whoever asks for what there is not."""
AGGREGATED_VERSIONS: dict[Aggregated, tuple[str, ...]] = {
    "none": (),
    "v2beta1": ("v2beta1",),
    "v2": ("v2",),
    "both": ("v2", "v2beta1"),
}


class ApiServer:
    """Answers requests. Its only changing state is how many it has seen, for those told 429.

    Args:
        options: What the cluster looks like, and how this server misbehaves.
        builtin: What every server has.
        tokens: Whom they stand for.
        members: Every API server of the cluster.
        number: Which of them this one is, from 0.
        started_s: When the cluster was made, in seconds since the epoch.
    """

    def __init__(
        self,
        options: ControlPlaneOptions,
        builtin: Builtin,
        *,
        tokens: Sequence[TokenUser],
        members: Sequence[Member],
        number: int,
        started_s: float,
    ) -> None:
        self._options = options
        self._tokens = tuple(tokens)
        self._catalog = build_catalog(builtin, options)
        self._documents = legacy_documents(self._catalog, members[number].authority)
        self._aggregated = {
            negotiation.aggregated_form(version): aggregated_documents(self._catalog, version)
            for version in AGGREGATED_VERSIONS[options.aggregated]
        }
        self._lists = ListReader(
            collections=build_collections(self._catalog, options, members, started_s),
            columns=builtin.columns,
            revision=FIRST_REVISION + options.nodes + options.pods,
        )
        self._paths = sorted({*self._documents, *COMMON_PATHS})
        self._seen = 0

    def respond(self, request: Request, now_s: float) -> Response:
        """Answer one request.

        Args:
            request: What is asked.
            now_s: Seconds since the epoch, for ages.
        """
        identity = authenticate(request.certificate, request.authorization, self._tokens)
        delay_s = delays.authentication_s(self._options, request)
        if request.path in HEALTH_PATHS:
            response = self._health(request, identity)
        else:
            response = self._respond(request, identity, now_s)
            delay_s += delays.server_s(self._options, request.path)
        return replace(
            response,
            delay_s=response.delay_s + delay_s,
            flow_control=flow_control_headers(
                identity,
                is_exempt_path=request.path in HEALTH_PATHS and self._options.exempts_probes,
            ),
        )

    def _health(self, request: Request, identity: Identity | None) -> Response:
        if identity is None:
            return answers.failure(statuses.unauthorized(), request)
        return self._refuse(request, identity, None) or answers.text(HTTPStatus.OK, "ok")

    def _respond(self, request: Request, identity: Identity | None, now_s: float) -> Response:
        """With the delays of those parts of the server that the request came to."""
        if identity is None:
            return answers.failure(statuses.unauthorized(), request)
        rejection = self._reject(request)
        if rejection is not None:
            return rejection
        is_watch = request.query.get("watch", "").lower() in {"1", "true"}
        target = parse_target(request.method, request.path, is_watch=is_watch)
        delay_s = delays.queue_s(self._options, identity)
        response = self._refuse(request, identity, target) or self._fail(request)
        if response is None:
            response = self._serve(request, target, now_s)
            delay_s += delays.backend_s(self._options, request, target)
        return replace(response, delay_s=delay_s)

    def _reject(self, request: Request) -> Response | None:
        self._seen += 1
        every = self._options.reject_429_every
        is_turn = every > 0 and self._seen % every == 0
        if self._seen > self._options.reject_429_count and not is_turn:
            return None
        retry_after_s = self._options.retry_after_s
        response = answers.failure(statuses.too_many_requests(retry_after_s), request)
        return replace(response, headers=(("retry-after", str(retry_after_s)),))

    def _refuse(
        self, request: Request, identity: Identity, target: Target | None
    ) -> Response | None:
        if may(identity, request.path, target):
            return None
        message, details = refusal(identity, request.path, target, request.method.lower())
        return answers.failure(statuses.forbidden(message, details), request)

    def _fail(self, request: Request) -> Response | None:
        code = longest_prefix(request.path, self._options.status_by_prefix)
        if code is None:
            return None
        return answers.failure(statuses.failing(HTTPStatus(code)), request)

    def _serve(self, request: Request, target: Target | None, now_s: float) -> Response:
        path = request.path.rstrip("/")
        if path in self._documents:
            return self._discovery(request, path)
        if path == "/version":
            return self._version(request)
        if not path:
            return answers.paths(HTTPStatus.OK, self._paths)
        if not path.startswith(("/api/", "/apis/")):
            return answers.paths(HTTPStatus.NOT_FOUND, COMMON_PATHS)
        return self._resource(request, target, now_s)

    def _discovery(self, request: Request, path: str) -> Response:
        found = self._catalog.find(path.removeprefix("/apis/").removeprefix("/api/"))
        # the lists of groups, and custom groups, are served by handlers that ask for no method
        is_restful = path == "/api" or (found is not None and found.origin == "builtin")
        if is_restful and request.method != "GET":
            return answers.failure(statuses.method_not_allowed(), request)
        offered = self._aggregated if path in {"/api", "/apis"} else {}
        form = negotiation.negotiate(request.accept, offered)
        if form is None:
            return answers.not_acceptable(request)
        if form in offered:
            return answers.aggregated(request, self._aggregated[form][path], form.content_type)
        return answers.document(request, self._documents[path])

    def _version(self, request: Request) -> Response:
        if request.method != "GET":
            return answers.failure(statuses.method_not_allowed(), request)
        if not negotiation.accepts_json(request.accept):
            return answers.not_acceptable(request)
        major, minor, *_ = (*self._options.git_version.removeprefix("v").split("."), "", "")
        value = {
            "major": major,
            "minor": minor,
            "gitVersion": self._options.git_version,
            "gitCommit": "",
            "gitTreeState": "",
            "buildDate": "1970-01-01T00:00:00Z",
            "goVersion": "go1.15.15",
            "compiler": "gc",
            "platform": "linux/amd64",
        }
        # always spread over lines
        return Response(status=HTTPStatus.OK, body=go_json.indented(value).encode())

    def _resource(self, request: Request, target: Target | None, now_s: float) -> Response:
        group_version = self._catalog.find(target.group_version) if target else None
        if target and group_version and _has(group_version, target):
            if target.subresource == "exec" and self._options.is_websocket_refused:
                return _exec(request)
            return self._lists.respond(request, target, now_s)
        return self._unknown(request)

    def _unknown(self, request: Request) -> Response:
        """What is below /api or /apis, and is not there."""
        _, root, group, *_ = (*request.path.split("/"), "")
        groups = {item.group: item.origin for item in self._catalog.group_versions}
        match groups.get(group if root == "apis" else ""):
            case "builtin":
                return answers.failure(statuses.no_such_resource(), request)
            case "unavailable":
                # in the aggregator's words
                return answers.text(HTTPStatus.SERVICE_UNAVAILABLE, "service unavailable\n")
            case _:
                return answers.text(HTTPStatus.NOT_FOUND, "404 page not found\n")


def _has(group_version: GroupVersion, target: Target) -> bool:
    """Whether there is such a resource, and in the case of custom ones such a method."""
    name = "/".join(filter(None, (target.resource, target.subresource)))
    found = group_version.resource(name)
    return found is not None and (
        group_version.origin == "builtin" or target.verb in found["verbs"]
    )


def _exec(request: Request) -> Response:
    """Without WebSocket, as behind many proxies, and with nothing to offer to SPDY."""
    if delays.is_websocket(request):
        words = "the lab lets no WebSocket through"
        return answers.failure(statuses.forbidden(words, {}), request)
    return answers.failure(statuses.bad_request("the lab runs nothing in its pods"), request)
