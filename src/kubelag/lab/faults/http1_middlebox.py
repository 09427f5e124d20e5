"""A box before the balancers ends TLS and speaks only HTTP/1.1.

A cold run then needs a connection for each group-version, with a handshake each. Whoever is some
way off feels it, so the client's node is. More group-versions would not show it better: they cost
the processor, which all hosts of the lab share. Client certificates cannot pass such a box: the
user shows a token.
"""

import socket
import ssl
from typing import Final

from kubelag.errors import LabError
from kubelag.lab.control_plane.certificates import Certificates
from kubelag.lab.faults.contract import HaFault, Scene
from kubelag.lab.faults.in_the_way import behind, put_box, take_box
from kubelag.lab.ha.lab import HaLab, spot
from kubelag.lab.ha.link_trouble import LongWire, long_wire
from kubelag.lab.ha.plan import BALANCED_PORT, NAME
from kubelag.lab.ha.scenes import get_nodes
from kubelag.lab.network.middlebox import MiddleboxSettings

ONE_WAY_S: Final = 0.02
"""A round trip of 40 ms: another country."""
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
        self.set_stage(ha)
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
            ),
        )

    def set_stage(self, ha: HaLab) -> None:
        """Put the client further off: the way costs something over HTTP/2, too."""
        self._distance(ha).on()

    def off(self, ha: HaLab) -> None:
        """Lead past it again, and come back."""
        self._distance(ha).off()
        take_box(ha)

    def see(self, ha: HaLab) -> str:
        """Ask both ways which protocol they choose, and time a segment."""
        here = ha.name_server.settings.records[NAME].a[0]
        chosen, usual = _protocol(ha, here), _protocol(ha, ha.vip)
        if (chosen, usual) != ("http/1.1", "h2"):
            raise LabError(
                f"{here} chooses {chosen}, {ha.vip} chooses {usual}",
                f"kubelag lab fault {self.id} off, then on again",
            )
        said = self._distance(ha).see(spot(ha.client), spot(ha.proxy))
        return f"{NAME} is {here} and chooses {chosen}, {ha.vip} chooses {usual}; {said}"

    def scene(self, ha: HaLab) -> Scene:
        """`kubectl get nodes`, cold, with a token."""
        return get_nodes(
            ha,
            describe=f"A box before the balancers speaks only HTTP/1.1, {2 * ONE_WAY_S:g} s off.",
            user="token",
        )

    def _distance(self, ha: HaLab) -> LongWire:
        return long_wire(ha, ONE_WAY_S)


def _protocol(ha: HaLab, address: str) -> str:
    """What is chosen of both; trusts anybody, since who it is makes no difference here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    place = (address, BALANCED_PORT)
    connected = ha.client.namespace.do(lambda: socket.create_connection(place, CONNECT_S))
    with connected, context.wrap_socket(connected) as secured:
        return secured.selected_alpn_protocol() or "none"


FAULT: HaFault = Http1Middlebox()
