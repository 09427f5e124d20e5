"""What a remedy is, and what it may know about the machine that it works on."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from kubelag.model.evidence import Evidence
from kubelag.model.remedy import Advice, Plan, Status

Scope = Literal["whole", "http"]
"""How much of the cache: all of it, or `http/` alone, which is where old clients sync."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemPaths:
    """Where this machine keeps what remedies look at; tests put their own in."""

    run: Path = Path("/run")
    shared_memory: Path = Path("/dev/shm")  # noqa: S108 -- its dangers are what memory_place is about
    tmpfiles: Path = Path("/etc/tmpfiles.d")
    system_units: Path = Path("/etc/systemd/system")
    user_units: Path = Path("/etc/systemd/user")
    booted_by_systemd: Path = Path("/run/systemd/system")
    linger: Path = Path("/var/lib/systemd/linger")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user may choose."""

    cache_dir: str | None = None
    """As kubectl's flag; None for the user's own cache by kubectl's rule."""
    scope: Scope | None = None
    """None takes the most that is safe here."""
    until_reboot: bool = False
    """Accept that the whole cache is gone, and kubectl slower than ever, after a reboot."""


def _nothing(_step: str) -> None:
    """Watch no step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """On whose behalf, and where, a remedy works."""

    env: Mapping[str, str] = field(repr=False)
    working_directory: Path
    uid: int
    gid: int
    user: str
    state_directory: Path
    """Private directory for journals."""
    paths: SystemPaths = field(default_factory=SystemPaths)
    options: Options = field(default_factory=Options)
    after_step: Callable[[str], None] = _nothing
    """Hears each step after it is done; tests stop the world there."""


class Remedy(Protocol):
    """One file in this package, or a third party's (entry-point group `kubelag.remedies`)."""

    @property
    def id(self) -> str:
        """As the command line spells it, for example `cache-in-memory`."""

    @property
    def summary(self) -> str:
        """What it does, in one clause."""

    @property
    def causes(self) -> tuple[str, ...]:
        """Ids of the causes that it helps against."""

    @property
    def is_automatic(self) -> bool:
        """Whether `apply` changes something; if not, the plan has commands to type."""

    def plan(self, context: Context) -> Plan:
        """What apply would change; changes nothing."""

    def apply(self, context: Context) -> Status:
        """Change it, or change nothing and raise RemedyError or RefusedError."""

    def verify(self, context: Context) -> Status:
        """Use what was changed, and say whether it works."""

    def undo(self, context: Context) -> Status:
        """Restore the exact former state, also after an apply or undo that was cut short."""

    def status(self, context: Context) -> Status:
        """How it stands, without writing anything."""

    def advise(self, evidence: Evidence) -> Advice:
        """The exact commands for the reader of a report."""


def current_context(
    options: Options, env: Mapping[str, str], working_directory: Path | None = None
) -> Context:
    """The context of this process."""
    uid = os.geteuid()
    return Context(
        env=env,
        working_directory=working_directory or Path.cwd(),
        uid=uid,
        gid=os.getegid(),
        user=_user_name(uid),
        state_directory=_state_directory(env, uid),
        options=options,
    )


def _state_directory(env: Mapping[str, str], uid: int) -> Path:
    if text := env.get("XDG_STATE_HOME"):
        return Path(text) / "kubelag" / "remedies"
    if uid == 0:
        return Path("/var/lib/kubelag/remedies")
    return Path(env.get("HOME", "/")) / ".local" / "state" / "kubelag" / "remedies"


def _user_name(uid: int) -> str:
    import pwd  # noqa: PLC0415 -- needed here only

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
