"""A real keepalived on a host: VRRP by unicast, one shared address, no scripts.

Its parent process watches one child, which speaks VRRP. Stopped in good order it gives the address
away at once; the others notice a silent owner after three adverts (RFC 9568, section 6.1).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kubelag.lab.network.daemon import Daemon
from kubelag.lab.network.lan import Host
from kubelag.lab.private_files import make_private_directory, write_private

if TYPE_CHECKING:
    from kubelag.lab.state import Ledger

CONFIG_FILE = "keepalived.conf"
ADVERT_S = 0.2
"""Between two adverts; one second is keepalived's own. Shorter, so that a failover takes 0.7 s."""
ROUTER_ID = 75


@dataclass(frozen=True, slots=True, kw_only=True)
class Keepalived:
    """One keepalived, running or not."""

    host: Host
    peers: tuple[str, ...]
    """Addresses of the others."""
    priority: int
    """The highest that runs owns the shared addresses."""
    shared: tuple[str, ...]
    """`IP/length`; the first one speaks for all."""
    directory: Path

    @property
    def daemon(self) -> Daemon:
        """Its process."""
        return Daemon(
            name="keepalived",
            host=self.host,
            directory=self.directory,
            argv=(
                *("keepalived", "--dont-fork", "--vrrp", "--log-console", "--no-syslog"),
                *("--use-file", str(self.directory / CONFIG_FILE)),
                *("--pid", str(self.directory / "pid")),
                *("--vrrp_pid", str(self.directory / "vrrp-pid")),
            ),
        )

    @property
    def text(self) -> str:
        """The configuration file."""
        first, *others = self.shared
        return f"""\
global_defs {{
    router_id {self.host.name}
    vrrp_version 3
}}
vrrp_instance api {{
    state BACKUP
    interface {self.host.interface}
    virtual_router_id {ROUTER_ID}
    priority {self.priority}
    advert_int {ADVERT_S}
    unicast_src_ip {self.host.address}
    unicast_peer {{
        {_lines(self.peers)}
    }}
    virtual_ipaddress {{
        {first}
    }}
    virtual_ipaddress_excluded {{
        {_lines(f"{one} -nodad" if ":" in one else one for one in others)}
    }}
}}
"""

    def start(self, ledger: "Ledger | None", environment: Mapping[str, str]) -> None:
        """Start it unless it runs; who owns the address shows only later (see `Daemon.start`)."""
        make_private_directory(self.directory)
        write_private(self.directory / CONFIG_FILE, self.text)
        self.daemon.start(ledger, environment)

    def stop(self) -> None:
        """End it in good order: the address moves at once."""
        self.daemon.stop()

    def is_owner(self) -> bool:
        """Whether this host has the shared address now."""
        return self.shared[0].partition("/")[0] in addresses_on(self.host)


def addresses_on(host: Host) -> Sequence[str]:
    """Every address that a host has now, the shared ones included."""
    shown = host.namespace.tool(
        *("ip", "-json", "address", "show", "dev", host.interface),
        problem=f"The addresses of {host.name} cannot be read",
    )
    return [str(one["local"]) for link in json.loads(shown) for one in link.get("addr_info", ())]


def _lines(words: Iterable[str]) -> str:
    return "\n        ".join(words)
