"""The command's last request by itself (`get --raw`): no discovery, no cache, same credentials."""

from urllib.parse import urlsplit

from kubelag.experiments.contract import NotApplicableError, Situation, Treatment
from kubelag.kube.command import VALUE_FLAGS, parse_command
from kubelag.timeline.spans import is_discovery

# Flags that would change what is measured, or that the cache experiments set.
_DROPPED = frozenset({"v", "cache-dir", "profile", "profile-output"})


class RequestBare:
    """See the module."""

    id = "request_bare"
    title = "as one bare request"

    def vary(self, situation: Situation) -> tuple[Treatment, ...]:
        """`kubectl get --raw PATH` with the same global flags."""
        evidence = situation.evidence
        asked = [
            request
            for request in evidence.requests
            if request.verb == "GET" and request.status and not is_discovery(request.url)
        ]
        if not asked:
            raise NotApplicableError("the client's log names no request for an object")
        if all(not is_discovery(request.url) for request in evidence.requests):
            raise NotApplicableError("the command sent nothing else than that request")
        url = urlsplit(asked[-1].url)
        path = f"{url.path}?{url.query}" if url.query else url.path
        unchanged = situation.unchanged
        argv = (unchanged.argv[0], *_global_flags(unchanged.argv), "get", "--raw", path)
        shown = f"{evidence.command[0]} get --raw '{path}'"
        return (Treatment(variant=unchanged.but(argv=argv, shown=shown)),)


def _global_flags(argv: tuple[str, ...]) -> tuple[str, ...]:
    """The flags that say which server, and as whom."""
    return tuple(
        f"--{flag.name}={flag.value}"
        for flag in parse_command(argv).flags
        if flag.name in VALUE_FLAGS - _DROPPED and flag.value is not None
    )
