"""The API server asks somebody else who you are, and that takes long.

What it is
    A token is checked by a webhook (TokenReview), by an OIDC provider or by an aggregated service.
    Answers are remembered for some seconds or minutes (two minutes by default for a webhook), so
    the first request pays, or every one.

How it is told apart
    `GET /livez` without credentials is quick, the same with the user's credentials is slow, and so
    is whatever else the user asks, also from the server's memory (a slow store makes a health check
    slow as well). The server says that the health check went through another queue than the
    request, or through none: up to 1.21 health checks wait in queues too. An authorization webhook
    looks the same from here. A client certificate asks nobody.

What it costs
    Its time on every request that is not remembered; a webhook may take 10 s and more before it is
    given up.

Versions
    All servers with --authentication-token-webhook-config-file or OIDC.

Sources
    Kubernetes documentation (webhook token authentication), kubernetes#71811, kubernetes#96217.
"""

from kubelag.causes.contract import Case
from kubelag.causes.server_facts import ServerStory
from kubelag.causes.server_judging import ServerCause, judge_server
from kubelag.model.remedy import Advice
from kubelag.model.units import seconds
from kubelag.model.verdict import Judgement, Source

ID = "authentication_slow"

_ADVICE = Advice(
    id="look-at-the-token-webhook",
    summary=(
        "look at the token webhook of the API server (its latency, its cache: "
        "--authentication-token-webhook-cache-ttl); a client certificate asks nobody"
    ),
    commands=("kubectl get --raw /metrics | grep apiserver_authentication_latency",),
)
_SOURCES = (
    Source(
        title="Kubernetes: webhook token authentication",
        url="https://kubernetes.io/docs/reference/access-authn-authz/authentication/#webhook-token-authentication",
    ),
    Source(
        title="kubernetes#71811: slow token webhooks hold up every request",
        url="https://github.com/kubernetes/kubernetes/issues/71811",
    ),
)


class AuthenticationSlow:
    """See the module."""

    id = ID
    title = "the server takes long to find out who you are"

    def judge(self, case: Case) -> Judgement:
        """Compare the same request with and without credentials."""
        words = ServerCause(
            id=ID, part="authentication", sentence=_sentence, advice=_ADVICE, sources=_SOURCES
        )
        return judge_server(case, words)


def _sentence(case: Case, story: ServerStory) -> str:
    nobody_ns = story.probe_ns("health") or 0
    user_ns = story.probe_ns("health_as_user") or 0
    return (
        f"the API server takes {seconds(user_ns)} to find out who {case.client}'s user is, or "
        f"what they may do (the same request as nobody: {seconds(nobody_ns)})"
    )
