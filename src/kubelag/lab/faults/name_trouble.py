"""What the faults have in common in which the client's node waits for the API server's name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from kubelag.errors import LabError
from kubelag.lab.faults.contract import Scene
from kubelag.lab.ha.lab import HaLab
from kubelag.lab.ha.plan import BALANCED_PORT, NAME
from kubelag.lab.ha.scenes import get_nodes
from kubelag.lab.ha.server_trouble import FAST_S, HEALTH, UNAFFECTED_TRIES
from kubelag.lab.ha.timing import raw
from kubelag.lab.network.dns_answers import DnsSettings, NameServer
from kubelag.lab.private_files import write_private


@dataclass(frozen=True, slots=True, kw_only=True)
class NameTrouble:
    """One way in which name servers, or how they are asked, cost time."""

    id: str
    expected: tuple[str, ...]
    describe: str
    """One sentence."""
    change: Callable[[HaLab], DnsSettings]
    """What the name servers know and how they behave while it is on."""
    least_s: float
    """What a look-up of the name then takes at least."""
    server_count: int = 2
    """How many of the lab's two name servers resolv.conf lists."""
    search: tuple[str, ...] = ()
    """resolv.conf's search list."""
    options: tuple[str, ...] = ()
    """resolv.conf's options."""
    name: str = NAME
    """What the kubeconfig calls the server."""

    @property
    def how_to_see(self) -> str:
        """The C library asks as Go does, by the same resolv.conf."""
        return f"kubelag lab exec -- bash -c 'time getent ahosts {self.name}'"

    def component(self, ha: HaLab) -> tuple[str, ...]:
        """The name server that is asked first."""
        return (ha.dns.address,)

    def on(self, ha: HaLab) -> None:
        """Tell the name servers, and the client's node whom to ask and how."""
        ha.name_server.reconfigure(self.change(ha))
        ha.resolve(ha.dns.addresses[: self.server_count], self.search, self.options)

    def off(self, ha: HaLab) -> None:
        """Put both back."""
        ha.name_server.reconfigure(ha.usual_names)
        ha.resolve()

    def see(self, ha: HaLab) -> str:
        """Ask the API server for its health by name and by address, and count the questions."""
        before = ha.name_server.counts
        by_name_s, problem = raw(ha, HEALTH, self._environment(ha))
        by_address_s = health_by_address_s(ha)  # the counts are up to date when it is done
        if problem or by_name_s < by_address_s + self.least_s - FAST_S:
            raise LabError(
                f"{HEALTH} took {by_name_s:.2f} s by the name {self.name}, {by_address_s:.2f} s by "
                f"address ({problem or 'both answered'})",
                f"kubelag lab fault {self.id} off, then on again",
            )
        asked = {one: count - before.get(one, 0) for one, count in ha.name_server.counts.items()}
        questions = ", ".join(f"{one} {count}" for one, count in sorted(asked.items()) if count)
        return (
            f"{HEALTH} takes {by_name_s:.2f} s by the name {self.name}, {by_address_s:.2f} s by "
            f"address; questions: {questions}"
        )

    def scene(self, ha: HaLab) -> Scene:
        """`kubectl get nodes`, cold."""
        return get_nodes(ha, describe=self.describe, environment=self._environment(ha))

    def _environment(self, ha: HaLab) -> Mapping[str, str]:
        kubeconfig = ha.kubeconfig() if self.name == NAME else _renamed(ha, self.name)
        return {**ha.environment(), "KUBECONFIG": str(kubeconfig)}


def behaving(ha: HaLab, *servers: NameServer) -> DnsSettings:
    """The usual names, with the lab's name servers in their order behaving like this."""
    usual = ha.usual_names
    return DnsSettings(
        records=usual.records, servers=dict(zip(ha.dns.addresses, servers, strict=False))
    )


def health_by_address_s(ha: HaLab) -> float:
    """Seconds of one small request without any name; the best of a few, on a busy machine.

    Raises:
        LabError: It failed.
    """
    kubeconfig = ha.kubeconfig(url=f"https://{ha.vip}:{BALANCED_PORT}")
    environment = {**ha.environment(), "KUBECONFIG": str(kubeconfig)}
    took_s, problem = min(raw(ha, HEALTH, environment) for _ in range(UNAFFECTED_TRIES))
    if problem:
        raise LabError(f"{ha.vip} cannot be asked: {problem}", "kubelag lab down, then up again")
    return took_s


def _renamed(ha: HaLab, name: str) -> Path:
    """A kubeconfig for a name that the certificates do not know."""
    path = ha.kubeconfig(url=f"https://{name}:{BALANCED_PORT}")
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["clusters"][0]["cluster"]["tls-server-name"] = NAME
    return write_private(path, yaml.safe_dump(config, sort_keys=False))
