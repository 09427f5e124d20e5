"""The HA lab in the hands of whoever uses or hurts it.

How a fault uses it (`ha` is what `HaFault.on`, `off`, `see` and `scene` get):

    ha.masters[1].namespace.tool("ip", …)        a system tool on a node; `ha.lan` holds the bridge
    Loss(cable=ha.cable(ha.client), ratio=0.1)   a host's link, with `on`, `off` and `see`
    spot(ha.client)                              an end of what such a `see` measures
    replace(ha.usual_balancer, check="none")     a balancer's configuration is data …
    ha.rebalance(settings)                       … given to all three at once, hitless
    ha.reconfigure(1, replace(ha.plan.options, latency_s=1))      one API server behaves otherwise
    ha.name_server.reconfigure(replace(ha.usual_names, …))        the DNS server does
    ha.resolve(search=("a.example",))            the client's resolv.conf
    ha.serve(PROXY, "proxy", ha.proxy, 3128, …)  a server; the lab ends it before it calls `off`
    ha.run("kubectl", "get", "nodes")            a command on the client's node, with its output
    get_nodes(ha, describe="…")                  the usual scene (`kubelag.lab.ha.scenes`)

`off` puts back what was changed: `ha.rebalance(ha.usual_balancer)`, `ha.calm()` for the API
servers, `ha.name_server.reconfigure(ha.usual_names)`, `ha.resolve()`.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kubelag.errors import LabError
from kubelag.lab.control_plane.options import ControlPlaneOptions
from kubelag.lab.ha.parts import HaParts
from kubelag.lab.ha.plan import load_plan
from kubelag.lab.network.haproxy import BalancerSettings, Reload
from kubelag.lab.network.impair.cable import Spot
from kubelag.lab.network.lan import Host
from kubelag.lab.network.served import Home, Program, Served, Settings, start
from kubelag.lab.private_files import write_private
from kubelag.lab.processes import is_running, last_words, python_argv, spawn
from kubelag.lab.state import Ledger
from kubelag.lab.waiting import wait_until

RUN_S = 120.0
"""Longest command on a node; the slowest fault takes about 30 s. Arbitrary."""
HELPER_S = 20.0
"""It takes as long as Python starts, 0.3 s; this is for a machine that does much else."""
MOVE_S = 15.0
"""Longest time until an address has its owner; three adverts and a bit, 0.7 s, usually."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HaLab(HaParts):
    """A lab that is up, and what can be done to it."""

    held: Ledger | None = None
    """The lab's ledger, where we hold it: whoever only looks does not."""

    @property
    def ledger(self) -> Ledger:
        """Where everything that a fault makes is written down.

        Raises:
            LabError: We only look.
        """
        if self.held is None:
            raise LabError("The HA lab is only looked at", "attach it with its ledger")
        return self.held

    # ---- the API servers

    def reconfigure(self, number: int, options: ControlPlaneOptions) -> None:
        """Make one API server (0, 1 or 2) behave otherwise, at once.

        Raises:
            LabError: It is a real one, which cannot be told to.
        """
        group = self.group
        group.reconfigure(group.members[number], options)

    def reconfigure_all(self, options: ControlPlaneOptions) -> None:
        """Make every API server behave otherwise, at once.

        Raises:
            LabError: They are real ones, which cannot be told to.
        """
        for number in range(len(self.masters)):
            self.reconfigure(number, options)

    def calm(self) -> None:
        """Make every API server run, and behave as when the lab came up."""
        for number, member in enumerate(self.members):
            if not member.is_running():
                for process in self.group.restart(member).processes.values():
                    self.ledger.made_process(process)
            if self.plan.kind == "embedded":
                self.reconfigure(number, self.plan.options)

    # ---- the balancers

    def rebalance(self, settings: BalancerSettings, how: Reload = "hitless") -> None:
        """Give every balancer this configuration.

        Raises:
            LabError: HAProxy refuses it.
        """
        for balancer in self.haproxies:
            balancer.rewrite(settings, self.ledger, self.daemon_environment, how)

    # ---- the shared address

    def wait_owner(self, wanted: Sequence[Host] = ()) -> Host:
        """The owner, as soon as there is exactly one; of those wanted, where any are named.

        Raises:
            LabError: There is none in time.
        """
        accepted = wanted or self.masters
        found: list[Host] = []

        def is_owned() -> bool:
            owner = self.owner()
            found[:] = [owner] if owner is not None and owner in accepted else []
            return bool(found)

        wait_until(
            is_owned,
            timeout_s=MOVE_S,
            problem=f"{self.vip} had not one owner out of {_names(accepted)}",
            next_step=f"read the logs below {self.directory / 'keepalived'}",
        )
        return found[0]

    def stop_keepalived(self, host: Host) -> None:
        """Take a master out of the sharing; the address moves if it had it."""
        self.keepalived_of(host).stop()

    def start_keepalived(self, host: Host) -> None:
        """Let a master share again; no problem where it does already."""
        self.keepalived_of(host).start(self.ledger, self.daemon_environment)

    # ---- the client's node

    def resolve(
        self,
        servers: Sequence[str] | None = None,
        search: Sequence[str] = (),
        options: Sequence[str] = (),
    ) -> None:
        """Write the nodes' resolv.conf; without arguments the usual one."""
        lines = [
            f"nameserver {one}" for one in (self.dns.addresses if servers is None else servers)
        ]
        lines += [f"search {' '.join(search)}"] if search else []
        lines += [f"options {' '.join(options)}"] if options else []
        # Every user of a node looks up names.
        write_private(self.resolv_conf, "\n".join(lines) + "\n").chmod(0o644)

    def forget(self) -> None:
        """Empty the cache of the nodes' home: one that was filled under a fault remembers it."""
        shutil.rmtree(self.home / ".kube", ignore_errors=True)

    def run(
        self,
        *command: str,
        environment: Mapping[str, str] | None = None,
        timeout_s: float = RUN_S,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command on the client's node, whatever comes of it.

        Raises:
            LabError: It is missing or does not end.
        """
        try:
            return subprocess.run(
                self.argv(command),
                env={**(environment or self.environment())},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_s,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LabError(f"{command[0]} did not run on the client's node: {error}") from error

    # ---- what faults need

    def serve(
        self, program: Program[Settings], name: str, host: Host, port: int, settings: Settings
    ) -> Served[Settings]:
        """Start a small server of ours on a host, in a directory of this name below the lab's.

        The lab ends it, and takes the directory away, when the fault is switched off.

        Raises:
            LabError: It does not start.
        """
        home = Home(
            directory=self.ledger.make_directory(self.directory / name),
            addresses=host.addresses,
            port=port,
            mark=self.mark,
            namespace=host.namespace,
            daemon=True,
        )
        served = start(program, home, settings)
        self.ledger.made_process(served.process)
        return served

    def start_helper(self, host: Host, module: str, *arguments: str) -> None:
        """Start a module of ours on a node, until the fault is switched off.

        It gets the lab's directory as its first argument, and prints a line when it is ready.

        Raises:
            LabError: It is not ready in time.
        """
        log = self.new_directory(module.rpartition(".")[2]) / "log"
        argv = python_argv(module, os.fspath(self.directory), *arguments)
        helper = spawn(host.namespace.argv(argv), log=log, environment=self.daemon_environment)
        self.ledger.made_process(helper)
        wait_until(
            lambda: log.stat().st_size > 0 or not is_running(helper),
            timeout_s=HELPER_S,
            problem=f"{module} on {host.name} was not ready",
            next_step=f"see {log}",
        )
        if not is_running(helper):
            raise LabError(f"{module} on {host.name} ended: {last_words(log)}", f"see {log}")

    def new_directory(self, name: str) -> Path:
        """A private directory for a fault, taken away by the lab when it is switched off."""
        return self.ledger.make_directory(self.directory / f"{name}-{self.ledger.mark()}")


def spot(host: Host) -> Spot:
    """A host's main address, as an end of a measurement."""
    return Spot(host=host.namespace, address=host.address)


def attach(directory: Path, ledger: Ledger | None = None) -> HaLab:
    """The HA lab that some process brought up in this directory.

    Args:
        directory: Its own, `ha` below the ledger's.
        ledger: Held by us; without it the lab can be looked at and used, not hurt.

    Raises:
        LabError: There is none.
    """
    return HaLab(directory=directory, plan=load_plan(directory), held=ledger)


def _names(hosts: Sequence[Host]) -> str:
    return ", ".join(host.name for host in hosts)
