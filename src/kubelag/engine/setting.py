"""Finds out, without running it, what a command is: its client, server, cache and safety."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from kubelag.errors import RefusedError, UsageError
from kubelag.kube.command import parse_command, with_global_flags
from kubelag.kube.config.kubeconfig import Kubeconfig, load_kubeconfig
from kubelag.kube.repeatable import Repeatable, classify, is_builtin
from kubelag.launch.child import Child
from kubelag.model.evidence import CacheDirectory, Client, Look
from kubelag.observe import cache_directory, client

# Verbs that talk to no server: a broken kubeconfig is none of their business.
_OFFLINE_VERBS = frozenset({"completion", "config", "help", "options", "plugin", ""})
# Below this the client's log has no line for each request.
_LOG_LEVEL = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A command and what is known of it before it runs."""

    argv: tuple[str, ...]
    """In full, secrets included: never shown, never saved."""
    env: Mapping[str, str] = field(repr=False)
    client: Client
    repeatable: Repeatable
    kubeconfig: Kubeconfig | None
    cache: CacheDirectory | None
    looks: tuple[Look, ...]
    child: Child | None = None
    """How every run of it is started; None where nothing is to be done first."""

    @property
    def is_kubectl(self) -> bool:
        """Whether its flags, log and cache are known."""
        return self.client.kind == "kubectl"

    @property
    def has_debug_log(self) -> bool:
        """Whether it can be told to log its requests; flags before a plugin's name break it."""
        return self.is_kubectl and is_builtin(self.argv)

    def watched_argv(self) -> tuple[str, ...]:
        """The command with its debug log on, unless the user's own level is high enough."""
        level = parse_command(self.argv).value("v") if self.is_kubectl else None
        asked = int(level) if level and level.isascii() and level.isdigit() else 0
        if not self.has_debug_log or asked >= _LOG_LEVEL:
            return self.argv
        return with_global_flags(self.argv, {"-v": str(_LOG_LEVEL)})

    def with_cache(self, directory: str) -> "Setting":
        """The same command with a cache directory of its own."""
        return look_at(
            with_global_flags(self.argv, {"--cache-dir": directory}), self.env, self.child
        )


def look_at(argv: tuple[str, ...], env: Mapping[str, str], child: Child | None = None) -> Setting:
    """Look at a command without running it.

    Raises:
        CommandNotFoundError: Where there is no such program.
        CommandNotExecutableError: Where it may not be run.
        KubeconfigError: Where it needs a kubeconfig that cannot be used.
    """
    found = client.identify(argv[0], env, child=child)
    setting = Setting(
        argv=argv,
        env=env,
        client=found,
        repeatable=classify(argv, found.kind),
        kubeconfig=None,
        cache=None,
        looks=tuple(
            Look(observer=name, state="could_not_look", how="the program is not kubectl")
            for name in ("kubeconfig", "cache_directory")
        ),
        child=child,
    )
    return _with_kubectls_own(setting) if setting.is_kubectl else setting


def _with_kubectls_own(setting: Setting) -> Setting:
    """With what only a kubectl has: its kubeconfig and its cache."""
    config = _kubeconfig(setting.argv, setting.env)
    server = config.cluster.server if config else None
    cache = cache_directory.look(setting.argv, setting.env, setting.client.version, server)
    read = Look(
        observer="kubeconfig",
        state="looked" if config else "not_asked",
        how=", ".join(config.files) if config else "the command talks to no server",
    )
    return replace(
        setting, kubeconfig=config, cache=cache, looks=(read, cache_directory.say(cache))
    )


def refuse_unsafe(setting: Setting, *, cold: bool, once: bool) -> None:
    """Stop before anything runs that must not.

    Raises:
        RefusedError: Where the command may change something and `--once` was not given.
        UsageError: Where `--cold` cannot be meant.
    """
    if not setting.repeatable.is_repeatable and not once:
        raise RefusedError(
            f"{os.path.basename(setting.argv[0])}: {setting.repeatable.why}",  # noqa: PTH119 - text
            "give --once to watch one single run of it; it is never repeated",
        )
    if cold and (not setting.is_kubectl or not setting.repeatable.is_repeatable):
        raise UsageError(
            "--cold needs a kubectl command that only reads", "leave --cold out for this one"
        )


def _kubeconfig(argv: tuple[str, ...], env: Mapping[str, str]) -> Kubeconfig | None:
    command = parse_command(argv)
    offline = command.verb in _OFFLINE_VERBS or command.has("help")
    if offline or (command.verb == "version" and command.has("client")):
        return None
    return load_kubeconfig(argv, env)
