"""Keeps what an exec plugin hands out. Imported only where a plugin is to run."""

import os
import time

from kubelag.kube.auth.credential_files import ClientCertificate, checked_token
from kubelag.kube.auth.exec_plugin import run_exec_plugin
from kubelag.kube.secret import Secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kubelag.kube.auth.credentials import Observe
    from kubelag.kube.auth.exec_plugin import Credential
    from kubelag.kube.config.kubeconfig import Cluster, ExecSpec

# Longer than any plugin that a user would still wait for; arbitrary.
PLUGIN_TIMEOUT_S = 60.0
# A credential that ends sooner is not worth a request; client-go gives a token file as much.
_LEEWAY_S = 10.0


class PluginSource:
    """What an exec plugin hands out, kept until it ends or is refused."""

    def __init__(
        self,
        spec: "ExecSpec",
        cluster: "Cluster",
        *,
        env: "Mapping[str, str]",
        clock: "Callable[[], float]",
        observe: "Observe | None",
        stdin_is_terminal: bool,
    ) -> None:
        self._spec, self._cluster, self._env = spec, cluster, env
        self._clock, self._observe, self._stdin_is_terminal = clock, observe, stdin_is_terminal
        self._given: Credential | None = None
        self._due_s: float | None = None
        self._shown: ClientCertificate | None = None
        self._is_refused_for_good = False

    def authorization(self) -> Secret[str]:
        """The header's value; empty where the plugin gave a certificate only."""
        token = self._current().token
        if token is None:
            return Secret("")
        return Secret(f"Bearer {checked_token(token.reveal(), self._origin())}")

    def certificate(self) -> ClientCertificate | None:
        """The client certificate, where the plugin gave one."""
        given = self._current()
        if not given.client_certificate or given.client_key is None:
            return None
        if self._shown is None:
            self._shown = ClientCertificate(
                certificate_pem=given.client_certificate.encode(),
                key_pem=Secret(given.client_key.reveal().encode()),
                origin=self._origin(),
            )
        return self._shown

    def state(self) -> object:
        """Something that is another after another credential was given."""
        return _contents(self._given) if self._given is not None else None

    def refresh(self) -> bool:
        """Run the plugin again; one that hands out the same again is not asked a third time."""
        if self._is_refused_for_good:
            return False
        before = self._given
        is_new = before is None or _contents(self._run()) != _contents(before)
        self._is_refused_for_good = not is_new
        return is_new

    def _current(self) -> "Credential":
        is_due = self._due_s is not None and self._clock() >= self._due_s
        return self._run() if self._given is None or is_due else self._given

    def _run(self) -> "Credential":
        began = time.perf_counter_ns()
        try:
            given = run_exec_plugin(
                self._spec,
                self._cluster,
                PLUGIN_TIMEOUT_S,
                env=self._env,
                stdin_is_terminal=self._stdin_is_terminal,
            )
        finally:
            if self._observe is not None:
                program = os.path.basename(self._spec.command)  # noqa: PTH119 -- kept as text
                self._observe("credential", began, time.perf_counter_ns(), program)
        self._keep(given)
        return given

    def _keep(self, given: "Credential") -> None:
        self._given, self._shown, self._is_refused_for_good = given, None, False
        # One that arrives past its end is used all the same, and not asked for at every request.
        soonest_s = self._clock() + _LEEWAY_S
        ends_s = given.expires_s
        self._due_s = None if ends_s is None else max(ends_s - _LEEWAY_S, soonest_s)

    def _origin(self) -> str:
        return f"the exec plugin {self._spec.command}"


def _contents(given: "Credential") -> tuple[object, ...]:
    secrets = (given.token, given.client_key)
    return (given.client_certificate, *(one.reveal() if one else None for one in secrets))
