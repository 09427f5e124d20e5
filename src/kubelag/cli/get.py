"""`kubelag get`: objects as kubectl shows them, by a client that never waits for the disk."""

import sys

from kubelag.cli.flags import Option, add_to
from kubelag.cli.kube_options import KUBE_OPTIONS
from kubelag.errors import KubelagError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from kubelag.cli.flags import Options
    from kubelag.kube.client import Client
    from kubelag.kube.reading import Finding, Query

DESCRIPTION = """\
Show objects, as `kubectl get` does.

  kubelag get nodes
  kubelag get pods -n shop -l app=web -o wide
  kubelag get deploy,svc -A
  kubelag get pod/web-1 svc/web -o yaml
  kubelag get pods -o jsonpath='{.items[*].metadata.name}'
  kubelag get nodes --timings            where the time went, request by request

Types go by plural, singular, kind or short name, with .GROUP or .VERSION.GROUP behind; commas join
several. Discovery is cached in kubectl's own directory, in a way that no disk can slow down and
that kubectl can read. Exit code 1 if anything could not be shown.
"""


TAKES_WORDS = True
OPTIONS = (
    Option(names=("-A", "--all-namespaces"), kind="switch", help="in every namespace"),
    Option(names=("-l", "--selector"), default="", metavar="LABELS", help="app=web,tier!=db"),
    Option(names=("--field-selector",), default="", metavar="FIELDS", help="status.phase=Running"),
    Option(
        names=("-o", "--output"),
        default="",
        metavar="FORMAT",
        help="wide, json, yaml, name, jsonpath=TEMPLATE",
    ),
    Option(
        names=("--chunk-size",),
        kind="number",
        default=500,
        metavar="N",
        help="objects asked for at a time (default: 500); 0: all",
    ),
    Option(names=("--no-headers",), kind="switch", help="no line of column names"),
    Option(names=("--show-labels",), kind="switch", help="labels as the last column"),
    Option(names=("--show-kind",), kind="switch", help="names with their type before them"),
    Option(names=("-L", "--label-columns"), kind="list", metavar="LABEL", help="a column for each"),
    Option(names=("--show-managed-fields",), kind="switch", help="keep metadata.managedFields"),
    Option(names=("--ignore-not-found",), kind="switch", help="say nothing of what is not there"),
    Option(names=("--raw",), default="", metavar="PATH", help="print the server's answer as it is"),
    *KUBE_OPTIONS,
)


def configure(parser: "argparse.ArgumentParser") -> None:
    """Add the arguments of `get`."""
    parser.usage = "kubelag get TYPE[,TYPE...] [NAME ...] | TYPE/NAME ... [options]"
    parser.add_argument("words", nargs="*", metavar="TYPE", help="what to get, and of it which")
    add_to(parser, OPTIONS)


def run(args: "Options") -> int:
    """Show what is asked for; the cache is written after it was shown, by a child."""
    from kubelag.cli.asking import asking  # noqa: PLC0415 -- `--help` needs none of it

    with asking(args) as client:
        return _raw(client, args.raw) if args.raw else _show(client, args)


def _raw(client: "Client", path: str) -> int:
    if not path.startswith("/"):
        raise UsageError(f"--raw takes a path of the server, not {path!r}", "begin it with a /")
    from kubelag.kube.query import encoded  # noqa: PLC0415 -- as above

    sys.stdout.flush()
    sys.stdout.buffer.write(client.request(encoded(path)).body)
    return 0


def _show(client: "Client", args: "Options") -> int:
    from kubelag.cli.get_output import output_for  # noqa: PLC0415 -- as above
    from kubelag.kube.reading import read  # noqa: PLC0415 -- the same
    from kubelag.kube.selection import parse_words  # noqa: PLC0415 -- the same

    wanted = parse_words(args.words)
    output = output_for(args, is_one=len(wanted) == 1 and len(wanted[0].names) == 1)
    query = _query(client, args, as_table=output.wants_tables)
    findings = list(read(client, wanted, query))
    text = output.text([one for one in findings if not isinstance(one, KubelagError)])
    sys.stdout.write(text)
    return _tell(findings, query, is_empty=output.is_empty)


def _query(client: "Client", args: "Options", *, as_table: bool) -> "Query":
    from kubelag.kube.reading import Query  # noqa: PLC0415 -- as above

    if args.chunk_size < 0:
        raise UsageError("--chunk-size is below zero", "give a number of objects, or 0 for all")
    return Query(
        namespace=client.namespace,
        all_namespaces=args.all_namespaces,
        label_selector=args.selector,
        field_selector=args.field_selector,
        chunk=args.chunk_size,
        as_table=as_table,
        ignore_not_found=args.ignore_not_found,
    )


def _tell(findings: "Sequence[Finding]", query: "Query", *, is_empty: bool) -> int:
    """What could not be shown, on standard error; the exit code."""
    errors = list(dict.fromkeys(str(one) for one in findings if isinstance(one, KubelagError)))
    sys.stdout.flush()
    for error in errors:
        print(f"kubelag: {error}", file=sys.stderr)
    if is_empty and not errors and not query.ignore_not_found:
        namespaced = not query.all_namespaces and all(
            not isinstance(one, KubelagError) and one.resource.is_namespaced for one in findings
        )
        where = f" in {query.namespace} namespace" if namespaced else ""
        print(f"No resources found{where}{'.' if where else ''}", file=sys.stderr)
    return 1 if errors else 0
