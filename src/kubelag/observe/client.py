"""Finds out who the client really is: the program behind PATH, links and wrappers.

Before a run only the outside can be seen: a script, a link, a dispatcher's version string. What a
wrapper executes is told by the run itself (`chain`).
"""

import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from kubelag.errors import CommandNotExecutableError, CommandNotFoundError
from kubelag.kube.versions import parse_version
from kubelag.launch.child import Child
from kubelag.model.evidence import Client

# A name that promises kubectl: `kubectl`, `kubectl.1.27`, `kubectl-v1.20.2`. A name like
# `kubectl-foo` is a plugin. Nothing else is ever run to ask for its version: it might act on it.
_KUBECTL_NAME = re.compile(r"kubectl(?:\.exe|\.real|[._-]?v?\d[\w.+-]*)?", re.ASCII)
# The gcloud dispatcher says `v1.32.4-dispatcher`.
_DISPATCHER = "dispatcher"
_VERSION_TIMEOUT_S = 10.0


class Answer(NamedTuple):
    """What `version --client` said."""

    version: str | None
    is_dispatcher: bool


def identify(
    argv0: str,
    env: Mapping[str, str],
    chain: Sequence[str] = (),
    *,
    timeout_s: float = _VERSION_TIMEOUT_S,
    child: Child | None = None,
) -> Client:
    """Who the client is.

    Args:
        argv0: The program as the user typed it.
        env: The client's environment.
        chain: Every program that the run executed, in order, where there was a run.
        timeout_s: How long the client may take to say its version.
        child: How every run of the client is started, this one too.

    Raises:
        CommandNotFoundError: If PATH has no such program.
        CommandNotExecutableError: If it exists and cannot be run.
    """
    path = find_program(argv0, env)
    executed = _without_repeats([path, *chain])
    last = _last_kubectl(executed) or executed[-1]
    real = os.path.realpath(last)
    wrappers = executed[: executed.index(last)]
    if not (_has_kubectl_name(last) or _has_kubectl_name(real)):
        return Client(
            name=argv0, path=path, real_path=real, executed=last, wrappers=tuple(wrappers)
        )
    # Run by the name it was called by: programs of many faces (k3s) look at it.
    answer = ask_version(last, env, timeout_s, child)
    if is_script(real) or answer.is_dispatcher:
        wrappers = [*wrappers, last]
    return Client(
        name=argv0,
        path=path,
        real_path=real,
        executed=last,
        wrappers=tuple(wrappers),
        kind="kubectl" if answer.version else "unknown",
        version=answer.version,
    )


def seen_in_run(
    known: Client, env: Mapping[str, str], chain: Sequence[str], child: Child | None = None
) -> Client:
    """Who the client proved to be in a run; asked again only where it was not who it seemed.

    Args:
        known: What was known before the run.
        env: The client's environment.
        chain: Every program that the run executed, in order.
        child: How every run of the client is started.
    """
    executed = _without_repeats([known.path, *chain])
    last = _last_kubectl(executed) or executed[-1]
    if os.path.realpath(last) == known.real_path:
        return known
    return identify(known.name, env, chain, child=child)


def find_program(argv0: str, env: Mapping[str, str]) -> str:
    """The program that a shell would run, as an absolute path.

    Raises:
        CommandNotFoundError: If there is none.
        CommandNotExecutableError: If what there is cannot be executed.
    """
    names = _candidates(argv0, env)
    present = [name for name in names if os.path.lexists(name)]
    for name in present:
        if os.path.isfile(name) and os.access(name, os.X_OK, effective_ids=True):  # noqa: PTH113 -- text
            return name
    if present:
        raise CommandNotExecutableError(*_why_not_executable(present[0]))
    raise _not_found(argv0)


def _candidates(argv0: str, env: Mapping[str, str]) -> list[str]:
    here = os.getcwd()  # noqa: PTH109 -- text throughout
    if "/" in argv0:
        return [os.path.join(here, argv0)]  # noqa: PTH118 -- the same
    places = env.get("PATH", os.defpath).split(":") if argv0 else []
    return [os.path.join(here, place, argv0) for place in places]  # noqa: PTH118 -- the same


def _not_found(argv0: str) -> CommandNotFoundError:
    if "/" in argv0:
        return CommandNotFoundError(f"{argv0} does not exist", "check the path")
    return CommandNotFoundError(
        f"{argv0 or 'an empty name'} is on none of the directories in PATH",
        "check the spelling, or give its path",
    )


def _why_not_executable(name: str) -> tuple[str, str]:
    if os.path.isdir(name):  # noqa: PTH112 -- text
        return f"{name} is a directory", "name the program in it"
    if not os.path.exists(name):  # noqa: PTH110 -- text
        return f"{name} is a link to nothing", "correct or remove the link"
    return f"{name} exists and may not be executed", f"try: chmod +x {name}"


def _without_repeats(programs: Sequence[str]) -> list[str]:
    """The programs in order, less a repeat of the one before (the run's first is our own find)."""
    kept: list[str] = []
    for program in programs:
        if not kept or not _is_same(program, kept[-1]):
            kept.append(program)
    return kept


def _is_same(one: str, other: str) -> bool:
    return one == other or os.path.realpath(one) == os.path.realpath(other)


def _last_kubectl(programs: Sequence[str]) -> str | None:
    """The last program that is a kubectl by name: what comes after it is its helper."""
    named = [one for one in programs if _has_kubectl_name(one)]
    return named[-1] if named else None


def _has_kubectl_name(path: str) -> bool:
    return _KUBECTL_NAME.fullmatch(os.path.basename(path)) is not None  # noqa: PTH119 -- text


def is_script(path: str) -> bool:
    """Whether a program is a script, which then is a wrapper; False where it cannot be read."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 -- text
            return file.read(2) == b"#!"
    except OSError:
        return False


def ask_version(
    path: str, env: Mapping[str, str], timeout_s: float, child: Child | None = None
) -> Answer:
    """What the client says of itself, without config, cache or network.

    It is asked with a home of its own first. Shims that find the real client through the user's
    home (asdf, mise) fail there, and are asked once more as the user would.

    Raises:
        CommandNotExecutableError: If the system cannot execute it at all.
    """
    argv = [path, "version", "--client", "-o", "json"]
    with tempfile.TemporaryDirectory(prefix="kubelag-version-") as home:
        nothing = {"KUBECONFIG": "/dev/null", "KUBECACHEDIR": f"{home}/cache", "KUBERC": "off"}
        output = _output(argv, {**env, **nothing, "HOME": home}, timeout_s, child)
        answer = _read_answer(output or b"")
        if answer.version is None and output is not None:
            answer = _read_answer(_output(argv, {**env, **nothing}, timeout_s, child) or b"")
    return answer


def _output(
    argv: Sequence[str], env: Mapping[str, str], timeout_s: float, child: Child | None
) -> bytes | None:
    """What it prints, None where it takes too long; then its children end with it."""
    try:
        process = subprocess.Popen(
            argv,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=child.before_exec() if child else None,  # noqa: PLW1509 - no threads yet
        )
    except OSError as error:
        raise cannot_run(argv[0], error) from error
    with process:
        try:
            return process.communicate(timeout=timeout_s)[0]
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                return None
            raise


def cannot_run(path: str, error: OSError) -> CommandNotExecutableError:
    """What a user is told of a program that the system would not start."""
    if isinstance(error, FileNotFoundError) and is_script(path):
        return CommandNotExecutableError(
            f"{path} is a script whose interpreter does not exist", "correct its first line"
        )
    return CommandNotExecutableError(
        f"{path} cannot be executed ({(error.strerror or str(error)).lower()})",
        "check that it is a program for this machine",
    )


def _read_answer(output: bytes) -> Answer:
    try:
        said = json.loads(output)["clientVersion"]["gitVersion"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return Answer(None, is_dispatcher=False)
    version = parse_version(said) if isinstance(said, str) else None
    if version is None:
        return Answer(None, is_dispatcher=False)
    return Answer(str(version), is_dispatcher=_DISPATCHER in said)
