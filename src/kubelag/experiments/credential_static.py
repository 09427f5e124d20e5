"""The same command with the credential that the plugin gives, and without the plugin.

The credential lives in anonymous memory (memfd) that only the command inherits: it reaches no
file and no argument list.
"""

import os

from kubelag.errors import KubelagError
from kubelag.experiments.contract import NotApplicableError, Situation, Treatment
from kubelag.kube.auth.exec_plugin import run_exec_plugin
from kubelag.kube.command import without_flag
from kubelag.kube.config.static_kubeconfig import static_token_kubeconfig

# Longer than any plugin that a user would still wait for; arbitrary.
_PLUGIN_TIMEOUT_S = 60.0


class CredentialStatic:
    """See the module."""

    id = "credential_static"
    title = "without the credential plugin"

    def vary(self, situation: Situation) -> tuple[Treatment, ...]:
        """The command with a kubeconfig in memory."""
        config = situation.kubeconfig
        if config is None or config.user.exec is None or config.user.auth != "exec":
            raise NotApplicableError("the kubeconfig's user has no credential plugin")
        env = situation.unchanged.env
        try:
            given = run_exec_plugin(config.user.exec, config.cluster, _PLUGIN_TIMEOUT_S, env=env)
        except KubelagError as error:
            raise NotApplicableError(str(error)) from error
        document = static_token_kubeconfig(
            config,
            given.token,
            client_certificate=given.client_certificate,
            client_key=given.client_key,
        )
        fd = os.memfd_create("kubelag-kubeconfig", os.MFD_CLOEXEC)
        os.write(fd, document)
        unchanged = situation.unchanged
        variant = unchanged.but(
            argv=without_flag(unchanged.argv, "kubeconfig"),
            env={**env, "KUBECONFIG": f"/proc/self/fd/{fd}"},
            pass_fds=(*unchanged.pass_fds, fd),
            shown="(a kubeconfig with the plugin's credential in anonymous memory)",
        )
        return (Treatment(variant=variant),)
