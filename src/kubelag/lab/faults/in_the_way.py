"""A box between the client and the shared address: the server's name leads to it."""

from dataclasses import replace

from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.plan import BALANCED_PORT, NAME
from kubelag.lab.network.dns_answers import Records
from kubelag.lab.network.middlebox import MIDDLEBOX, MiddleboxSettings
from kubelag.lab.network.served import Served, attach

_DIRECTORY = "middlebox"


def put_box(ha: HaLab, settings: MiddleboxSettings) -> None:
    """Start the box on the proxy's host, and have the server's name stand for that host.

    Raises:
        LabError: It does not start.
    """
    ha.serve(MIDDLEBOX, _DIRECTORY, ha.proxy, BALANCED_PORT, settings)
    usual = ha.usual_names
    here = Records(a=(ha.proxy.address,))
    ha.name_server.reconfigure(replace(usual, records={**usual.records, NAME: here}))


def take_box(ha: HaLab) -> None:
    """Let the name lead where it usually does; the box itself, the lab has ended already."""
    ha.name_server.reconfigure(ha.usual_names)


def box(ha: HaLab) -> Served[MiddleboxSettings]:
    """The box that was put there.

    Raises:
        LabError: There is none.
    """
    return attach(ha.directory / _DIRECTORY, MIDDLEBOX)


def behind(ha: HaLab) -> str:
    """What the box leads to: the balancers, by their shared address."""
    return f"{ha.vip}:{BALANCED_PORT}"
