"""Whoever shows a token waits until a webhook has approved of it; certificates pass at once."""

from dataclasses import replace
from typing import Final

from kubelag.lab.faults.contract import HaFault
from kubelag.lab.ha.server_trouble import ServerTrouble

LATENCY_S: Final = 0.4
"""For every request: a cold run waits four times."""

FAULT: HaFault = ServerTrouble(
    id="authn_webhook_slow",
    expected=("authentication_slow",),
    how_to_see="kubelag lab exec -- sh -c 'time kubectl --token=any get --raw /version'",
    describe=f"The API servers take {LATENCY_S:g} s to accept a token.",
    change=lambda usual: replace(usual, authentication_latency_s=LATENCY_S),
    path="/version",
    least_s=LATENCY_S,
    user="token",
    compared_user="certificate",
)
