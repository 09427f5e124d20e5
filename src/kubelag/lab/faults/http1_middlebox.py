"""A box before the balancers ends TLS and speaks only HTTP/1.1.

A cold run then needs a connection for each group-version, with a handshake each, and the box has a
small processor: it makes one at a time. That it does so asleep leaves the lab's own processors to
the others. Client certificates cannot pass such a box: the user shows a token.
"""

import socket
import ssl
import time
from typing import Final

from kubelag.errors import LabError
from kubelag.lab.control_plane.certificates import Certificates
from kubelag.lab.faults.contract import HaFault, Scene
from kubelag.lab.faults.in_the_way import behind, put_box, take_box
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.plan import BALANCED_PORT, NAME
from kubelag.lab.ha.scenes import get_nodes
from kubelag.lab.network.middlebox import MiddleboxSettings

HANDSHAKE_S: Final = 0.015
"""An RSA signature of 4,096 bits on a small processor."""
CONNECT_S: Final = 5.0


class Http1Middlebox:
    """No HTTP/2, and each connection has its price."""

    id = "http1_middlebox"
    expected = ("http1_only",)
    how_to_see = f"kubelag lab exec -- sh -c 'curl -skv https://{NAME}:8443/livez 2>&1 | grep ALPN'"

    def component(self, _ha: HaLab) -> tuple[str, ...]:
        """What the kubeconfig names: from here the box is the server."""
        return (NAME,)

    def on(self, ha: HaLab) -> None:
        """Put the box in the way, with the certificate of a master."""
        server = Certificates.below(ha.members[0].directory)
        put_box(
            ha,
            MiddleboxSettings(
                mode="http1",
                upstreams=(behind(ha),),
                certificate=server.server_certificate,
                key=server.server_key,
                upstream_ca=server.ca,
                upstream_name=NAME,
                handshake_s=HANDSHAKE_S,
            ),
        )

    def off(self, ha: HaLab) -> None:
        """Lead past it again."""
        take_box(ha)

    def see(self, ha: HaLab) -> str:
        """Ask both ways which protocol they choose, and time a handshake."""
        here = ha.name_server.settings.records[NAME].a[0]
        (chosen, took_s), (usual, usual_s) = _handshake(ha, here), _handshake(ha, ha.vip)
        if (chosen, usual) != ("http/1.1", "h2") or took_s < HANDSHAKE_S:
            raise LabError(
                f"{here} chooses {chosen} after {took_s:.3f} s, {ha.vip} chooses {usual}",
                f"kubelag lab fault {self.id} off, then on again",
            )
        return (
            f"{NAME} is {here}, which chooses {chosen} after a handshake of {took_s * 1e3:.1f} ms; "
            f"{ha.vip} chooses {usual} after {usual_s * 1e3:.1f} ms"
        )

    def scene(self, ha: HaLab) -> Scene:
        """`kubectl get nodes`, cold, with a token."""
        return get_nodes(
            ha,
            describe="A box before the balancers speaks only HTTP/1.1.",
            user="token",
        )


def _handshake(ha: HaLab, address: str) -> tuple[str, float]:
    """What is chosen of both, after how many seconds; trusts anybody, as it makes no difference."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    place = (address, BALANCED_PORT)
    connected = ha.client.namespace.do(lambda: socket.create_connection(place, CONNECT_S))
    start_s = time.perf_counter()
    with connected, context.wrap_socket(connected) as secured:
        took_s = time.perf_counter() - start_s
        return secured.selected_alpn_protocol() or "none", took_s


FAULT: HaFault = Http1Middlebox()
