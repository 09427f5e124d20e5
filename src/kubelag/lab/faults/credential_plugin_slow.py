"""A kubeconfig whose credential plugin takes its time before every command."""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from kubelag.lab.control_plane.kubeconfigs import exec_kubeconfig
from kubelag.lab.faults.contract import Fault, LabParts, Scene
from kubelag.lab.faults.stage import staged
from kubelag.lab.private_files import write_private

PLUGIN_S = 2
"""What the command-line tools of cloud providers need when they are slow."""


class CredentialPluginSlow:
    """A private script sleeps, and then prints a credential from a private file."""

    id = "credential_plugin_slow"
    expected = ("credential_plugin_slow",)

    def obstacle(self) -> str:
        """None: works everywhere."""
        return ""

    @contextmanager
    def inject(self, parts: LabParts) -> Iterator[Scene]:
        """Write the plugin; the token stays in its file and never becomes an argument."""
        with staged(parts, self.id) as stage:
            control_plane = stage.start_control_plane()
            credential = shlex.quote(os.fspath(control_plane.exec_credential))
            plugin = stage.executable_directory() / "lab-login"
            write_private(plugin, f"#!/bin/sh\nsleep {PLUGIN_S}\nexec cat {credential}\n")
            plugin.chmod(0o700)
            yield stage.get_nodes(
                parts.kubectl,
                stage.home(),
                exec_kubeconfig(control_plane, (os.fspath(plugin),)),
                describe=f"The credential plugin takes {PLUGIN_S} s.",
            )


FAULT: Fault = CredentialPluginSlow()
