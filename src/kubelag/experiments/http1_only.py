"""The same command over HTTP/1.1, where it spoke HTTP/2: a connection for each parallel request."""

from kubelag.experiments.contract import NotApplicableError, Situation, Treatment
from kubelag.model.evidence import Evidence


class Http1Only:
    """See the module."""

    id = "http1_only"
    title = "over HTTP/1.1"

    def vary(self, situation: Situation) -> tuple[Treatment, ...]:
        """The command with HTTP/2 switched off, for client-go and for any other Go program."""
        protocols = _protocols(situation.evidence)
        if "h2" not in protocols:
            seen = ", ".join(sorted(protocols)) or "which protocol is spoken was not seen"
            raise NotApplicableError(f"HTTP/2 is not known to be in use: {seen}")
        env = situation.unchanged.env
        switches = ",".join(part for part in (env.get("GODEBUG", ""), "http2client=0") if part)
        changed = {**env, "DISABLE_HTTP2": "1", "GODEBUG": switches}
        shown = f"DISABLE_HTTP2=1 {' '.join(situation.evidence.command)}"
        return (Treatment(variant=situation.unchanged.but(env=changed, shown=shown)),)


def _protocols(evidence: Evidence) -> set[str]:
    """What the connections spoke, else what the server chose for ours."""
    seen = {connection.protocol for connection in evidence.connections} - {""}
    probed = {probe.protocol for probe in evidence.path.front} if evidence.path else set()
    return seen or probed - {""}
