"""Whoever shows a token waits until a webhook has approved of it; certificates pass at once."""

from dataclasses import replace
from typing import Final

from kubelag.lab.faults.contract import HaFault
from kubelag.lab.ha.plan import NAME
from kubelag.lab.ha.server_trouble import ServerTrouble

LATENCY_S: Final = 0.4
"""For every request: a cold run waits four times."""

VERSION: Final = "v1.27.3"
"""Of a server that lets nobody wait for a health check; before 1.22 a slow authenticator and a full
queue look alike."""

FAULT: HaFault = ServerTrouble(
    id="authn_webhook_slow",
    expected=("authentication_slow",),
    how_to_see=(
        "kubelag lab exec -- bash -c "
        f"'time curl -skH \"Authorization: Bearer any\" https://{NAME}:8443/version'"
    ),
    describe=f"The API servers take {LATENCY_S:g} s to accept a token.",
    change=lambda usual: replace(usual, authentication_latency_s=LATENCY_S, git_version=VERSION),
    path="/version",
    least_s=LATENCY_S,
    user="reader",
    compared_user="certificate",
)
