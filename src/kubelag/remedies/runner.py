"""Runs one step of one remedy; a third party's crash becomes one sentence, never a traceback."""

from collections.abc import Callable
from typing import TypeVar

from kubelag.errors import KubelagError, RemedyError
from kubelag.remedies.contract import Context, Remedy

T = TypeVar("T")


def run_step(remedy: Remedy, step: Callable[[Context], T], context: Context) -> T:
    """Run `remedy.plan`, `remedy.apply`, or another of its steps.

    Raises:
        KubelagError: What the remedy says.
        RemedyError: Where it crashed.
    """
    try:
        return step(context)
    except KubelagError:
        raise
    except Exception as error:  # one of the three runners
        raise RemedyError(
            f"the remedy {remedy.id} failed: {type(error).__name__}: {error}",
            f"see how it stands: kubelag fix status {remedy.id}",
        ) from error
