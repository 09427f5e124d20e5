"""`kubelag completion`: completions for bash, zsh and tcsh, made from the argument parser."""

import argparse

from kubelag.errors import KubelagError

DESCRIPTION = """\
Print a completion script.

  source <(kubelag completion bash)
  kubelag completion zsh > "${fpath[1]}/_kubelag"
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `kubelag completion`."""
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"))


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    from kubelag.cli.main import COMMANDS, build_parser  # noqa: PLC0415 - only this command needs all

    try:
        import shtab  # noqa: PLC0415 - the same
    except ImportError as error:
        raise KubelagError("completions need the package shtab", "pip install shtab") from error
    parser = build_parser(*(command.name for command in COMMANDS))
    print(shtab.complete(parser, shell=args.shell))
    return 0
