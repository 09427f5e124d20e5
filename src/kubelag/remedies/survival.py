"""Makes the directory in memory anew after a reboot: a dangling link is worse than a slow disk.

Measured with kubectl 1.20.2 and 74 group-versions: a link of the *whole* cache that dangles costs
232 requests and 11 s for every single command, since nothing can be cached any more, instead of 1
request and 0.04 s. (A dangling link of `http/` alone costs nothing: 78 requests and 0.13 s cold, 1
and 0.04 s warm, as ever.) Hence the whole cache is linked only where systemd-tmpfiles makes the
directory at boot:

- for root by a line in /etc/tmpfiles.d, where systemd booted the machine;
- for a user by a line in ~/.config/user-tmpfiles.d, where the user lingers. Without lingering
  /run/user/UID goes away at the last logout, and cron jobs would find a dangling link. Debian 12
  does not enable the user's systemd-tmpfiles-setup.service, so that is done as well.

The lines also have systemd-tmpfiles remove what has not been used for a day: clients never empty
their HTTP cache (kubernetes/kubernetes#109963), and an entry lives 6 hours at most.

Sources: tmpfiles.d(5), systemd-tmpfiles(8), user@.service(5), logind.conf(5).
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from kubelag.errors import RemedyError
from kubelag.remedies.contract import Context
from kubelag.remedies.journal import MadeFile
from kubelag.remedies.memory_place import Place

_TOOL = "systemd-tmpfiles"
_SETUP = "systemd-tmpfiles-setup.service"
# Making two directories takes milliseconds; arbitrary.
_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Survival:
    """What will make the directory again."""

    name: str
    """`tmpfiles.d` or `user-tmpfiles.d`."""
    files: tuple[MadeFile, ...]
    """What has to be there for it; the first is the configuration."""


def find_survival(context: Context, place: Place, directory: Path) -> Survival | str:
    """How the directory comes back after a reboot, or in one clause why it does not."""
    if _tool(context) is None:
        return f"{_TOOL} is not installed"
    if context.uid == 0:
        return _for_root(context, directory)
    return _for_user(context, place, directory)


def create_now(name: str, configuration: str, directory: Path, context: Context) -> None:
    """Have systemd-tmpfiles do now what it will do at boot, for our directories alone.

    It is given our one file and our prefix, and is never told to remove: the whole of a machine's
    boot rules empties /tmp.

    Raises:
        RemedyError: Where it does not accept the configuration.
    """
    user = ("--user",) if name == "user-tmpfiles.d" else ()
    prefix = f"--prefix={directory.parent}"
    argv = [_tool(context) or _TOOL, *user, "--create", prefix, configuration]
    try:
        done = subprocess.run(
            argv,
            env=dict(context.env),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RemedyError(f"{_TOOL} did not run: {error}") from error
    if done.returncode != 0:
        said = done.stderr.strip() or f"exit code {done.returncode}"
        raise RemedyError(f"{_TOOL} does not accept {configuration}: {said}")


def _for_root(context: Context, directory: Path) -> Survival | str:
    if not context.paths.booted_by_systemd.is_dir():
        return "systemd did not boot this machine, so nothing reads tmpfiles.d"
    mask = context.paths.system_units / _SETUP
    if mask.is_symlink() and str(mask.readlink()) == "/dev/null":
        return f"{_SETUP} is masked"
    name = f"kubelag-cache-{context.user}-{directory.name}.conf"
    configuration = MadeFile(
        path=str(context.paths.tmpfiles / name), text=_lines(directory, context)
    )
    return Survival(name="tmpfiles.d", files=(configuration,))


def _for_user(context: Context, place: Place, directory: Path) -> Survival | str:
    if not place.is_private:
        return f"there is no /run/user/{context.uid}, which systemd-logind makes"
    if not (context.paths.linger / context.user).exists():
        return (
            f"{place.base} goes away at the last logout"
            " (`loginctl enable-linger` makes it stay, then the whole cache can be linked)"
        )
    home = Path(context.env.get("XDG_CONFIG_HOME") or Path(context.env["HOME"]) / ".config")
    name = f"kubelag-cache-{directory.name}.conf"
    configuration = MadeFile(
        path=str(home / "user-tmpfiles.d" / name), text=_lines(directory, context)
    )
    wants = Path("basic.target.wants") / _SETUP
    if (context.paths.user_units / wants).exists() or (home / "systemd/user" / wants).exists():
        return Survival(name="user-tmpfiles.d", files=(configuration,))
    enabling = MadeFile(
        path=str(home / "systemd/user" / wants), link=f"/usr/lib/systemd/user/{_SETUP}"
    )
    return Survival(name="user-tmpfiles.d", files=(configuration, enabling))


def _lines(directory: Path, context: Context) -> str:
    owner = f"0700 {context.uid} {context.gid}"
    return (
        "# Made by `kubelag fix apply cache-in-memory`;"
        " `kubelag fix undo cache-in-memory` removes it.\n"
        f"d {_escaped(directory.parent)} {owner} -\n"
        f"d {_escaped(directory)} {owner} 1d\n"
    )


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%%")


def _tool(context: Context) -> str | None:
    return shutil.which(_TOOL, path=context.env.get("PATH")) or shutil.which(_TOOL)
