"""Runs the system's own tools, and says in their words what went wrong."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from kubelag.errors import LabError

TOOL_S = 30.0
"""How long a tool may run; unmounting writes back what the slow disk still owes."""


def run_tool(
    argv: Sequence[str],
    *,
    problem: str,
    next_step: str = "",
    timeout_s: float = TOOL_S,
    directory: Path | None = None,
) -> str:
    """Run a system tool, and return what it printed.

    Args:
        argv: The tool, and its arguments.
        problem: What has failed if it fails.
        next_step: What the user can do then.
        timeout_s: How long it may run.
        directory: Where it runs; None for where we are.

    Raises:
        LabError: It is missing, failed or hung; says the problem and the tool's own words.
    """
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
            cwd=directory,
            env=os.environ | {"PATH": _tool_path(), "LC_ALL": "C"},
        )
    except OSError as error:
        why = "is missing" if isinstance(error, FileNotFoundError) else f"({error.strerror})"
        raise LabError(f"{problem}: {argv[0]} {why}", next_step or f"install {argv[0]}") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(
            f"{problem}: {argv[0]} did not end within {timeout_s:g} s", next_step
        ) from error
    if done.returncode:
        words = done.stderr.decode(errors="replace").split("\n")
        said = " / ".join(word.strip() for word in words if word.strip())
        raise LabError(f"{problem}: {said or f'exit code {done.returncode}'}", next_step)
    return done.stdout.decode(errors="replace").strip()


def has_tool(name: str) -> bool:
    """Whether a system tool is installed."""
    return shutil.which(name, path=_tool_path()) is not None


def _tool_path() -> str:
    """PATH with the administrator's directories, which a user's own PATH often lacks."""
    return os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
