"""The cable of the client's node loses packets to and from the API server, and only those.

A fifth of them: a cold run exchanges some thirty packets that nothing else would repair at once, so
that each run meets it. A quarter would now and then cost more than a TLS handshake may take.
"""

from typing import Final

from kubelag.lab.faults.contract import HaFault
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.link_trouble import LinkTrouble
from kubelag.lab.ha.plan import BALANCED_PORT
from kubelag.lab.network.impair.loss import Loss

RATIO: Final = 0.2
"""In each direction."""


def _loss(ha: HaLab) -> Loss:
    return Loss(cable=ha.cable(ha.client), ratio=RATIO, tcp_ports=(BALANCED_PORT,))


FAULT: HaFault = LinkTrouble(
    id="packet_loss",
    expected=("packet_loss",),
    how_to_see=(
        "kubelag lab exec -- sh -c 'for n in 1 2; do kubectl api-resources >/dev/null; "
        "nstat -asz TcpRetransSegs; done'"
    ),
    describe=f"{RATIO:.0%} of the packets between the client's node and port {BALANCED_PORT} "
    "get lost.",
    impairment=_loss,
    is_address_named=True,
)
