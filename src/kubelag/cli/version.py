"""`kubelag version`: this client's version and the server's."""

from kubelag import __version__
from kubelag.cli.flags import Option, add_to
from kubelag.cli.kube_options import KUBE_OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from kubelag.cli.flags import Options
    from kubelag.kube.printing.values import JsonObject

DESCRIPTION = """\
Tell this client's version and the server's.

  kubelag version
  kubelag version --client               without asking the server
  kubelag version -o json
"""


OPTIONS = (
    Option(names=("--client",), kind="switch", help="only of this client"),
    Option(names=("-o", "--output"), choices=("json", "yaml"), help="json or yaml"),
    *KUBE_OPTIONS,
)


def configure(parser: "argparse.ArgumentParser") -> None:
    """Add the arguments of `version`."""
    add_to(parser, OPTIONS)


def run(args: "Options") -> int:
    """Tell them."""
    from kubelag.cli.asking import asking  # noqa: PLC0415 -- `--help` needs none of it

    told: JsonObject = {"clientVersion": {"gitVersion": f"kubelag {__version__}"}}
    if args.client:
        _print(told, args.output)
        return 0
    with asking(args) as client:
        told["serverVersion"] = client.document("/version")
        _print(told, args.output)
        return 0


def _print(told: "JsonObject", output: str | None) -> None:
    if output == "json":
        from kubelag.kube.printing.go_json import print_json  # noqa: PLC0415 -- seldom asked

        print(print_json(told), end="")
    elif output == "yaml":
        from kubelag.kube.printing.go_yaml import print_yaml  # noqa: PLC0415 -- seldom asked

        print(print_yaml(told), end="")
    else:
        for title, key in (
            ("Client Version", "clientVersion"),
            ("Server Version", "serverVersion"),
        ):
            found = told.get(key)
            if isinstance(found, dict):
                print(f"{title}: {found.get('gitVersion', 'not told')}")
