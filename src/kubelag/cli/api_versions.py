"""`kubelag api-versions`: the group-versions that the server offers."""

from kubelag.cli.flags import Option, add_to
from kubelag.cli.kube_options import KUBE_OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from kubelag.cli.flags import Options

DESCRIPTION = """\
List the group-versions that the server offers, sorted.

  kubelag api-versions
  kubelag api-versions --cached          without asking the server
"""


OPTIONS = (
    Option(names=("--cached",), kind="switch", help="use the cache if it is fresh"),
    *KUBE_OPTIONS,
)


def configure(parser: "argparse.ArgumentParser") -> None:
    """Add the arguments of `api-versions`."""
    add_to(parser, OPTIONS)


def run(args: "Options") -> int:
    """List them."""
    from kubelag.cli.asking import asking  # noqa: PLC0415 -- `--help` needs none of it

    with asking(args) as client:
        discovery = client.discovery
        snapshot = discovery.snapshot() if args.cached else discovery.refresh()
        print("".join(f"{name}\n" for name in sorted(snapshot.group_versions)), end="")
        return 0
