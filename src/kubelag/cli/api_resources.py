"""`kubelag api-resources`: what the server offers, as kubectl lists it."""

from kubelag.cli.flags import Option, add_to
from kubelag.cli.kube_options import KUBE_OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from typing import Any

    from kubelag.cli.flags import Options
    from kubelag.kube.discovery.snapshot import GroupVersion, Snapshot

    JsonObject = dict[str, Any]

DESCRIPTION = """\
List the resources that the server offers, each in its group's preferred version.

  kubelag api-resources
  kubelag api-resources --api-group apps -o wide
  kubelag api-resources --namespaced=false --verbs list,watch -o name
  kubelag api-resources --cached         without asking the server

The server is asked whether what is cached still holds: two small requests where it aggregates
discovery. A group-version that cannot be had is told on standard error, and exit code 1.
"""
_TRUE, _FALSE = "true", "false"


OPTIONS = (
    Option(names=("--api-group",), metavar="GROUP", help="only of this group"),
    Option(
        names=("--namespaced",),
        alone=_TRUE,
        choices=(_TRUE, _FALSE),
        help="only those that live in namespaces; with =false only those that do not",
    ),
    Option(names=("--verbs",), default="", metavar="VERB,...", help="only with all of these"),
    Option(names=("--categories",), default="", metavar="NAME,...", help="only in all of these"),
    Option(names=("--cached",), kind="switch", help="use the cache if it is fresh"),
    Option(names=("--no-headers",), kind="switch", help="no line of column names"),
    Option(names=("--sort-by",), choices=("name", "kind"), help="(default: by group and name)"),
    Option(names=("-o", "--output"), choices=("wide", "name"), help="wide or name"),
    *KUBE_OPTIONS,
)


def configure(parser: "argparse.ArgumentParser") -> None:
    """Add the arguments of `api-resources`."""
    add_to(parser, OPTIONS)


def run(args: "Options") -> int:
    """List them."""
    from kubelag.cli.asking import asking  # noqa: PLC0415 -- `--help` needs none of it

    with asking(args) as client:
        discovery = client.discovery
        snapshot = discovery.snapshot() if args.cached else discovery.refresh()
        print(_listing(snapshot, args), end="")
        return _tell_failed(snapshot)


def _listing(snapshot: "Snapshot", args: "Options") -> str:
    from kubelag.kube.printing.columns import Columns  # noqa: PLC0415 -- `--help` needs none of it

    chosen = [pair for pair in _preferred(snapshot) if _is_wanted(*pair, args)]
    chosen.sort(key=lambda pair: _key(pair[0], pair[1], args.sort_by))
    if args.output == "name":
        return "".join(f"{_qualified(*pair)}\n" for pair in chosen)
    columns = Columns()
    if not args.no_headers:
        columns.write("\t".join(_header(args.output)))
    for pair in chosen:
        columns.write("\t".join(_cells(*pair, args.output)))
    return columns.text()


def _preferred(snapshot: "Snapshot") -> "Iterator[tuple[GroupVersion, JsonObject]]":
    """Top-level resources; of a group's versions the preferred one that has it."""
    for group in snapshot.groups:
        seen: set[str] = set()
        for version in dict.fromkeys((group.preferred, *group.versions)):
            found = snapshot.group_versions[f"{group.name}/{version}" if group.name else version]
            new = [one for one in found.resources if "/" not in one["name"]]
            yield from ((found, one) for one in new if one["name"] not in seen)
            seen |= {one["name"] for one in new}


def _is_wanted(group_version: "GroupVersion", one: "JsonObject", args: "Options") -> bool:
    verbs, categories = one.get("verbs") or (), one.get("categories") or ()
    return (
        bool(verbs)
        and (args.api_group is None or group_version.group == args.api_group)
        and (args.namespaced is None or one["namespaced"] == (args.namespaced == _TRUE))
        and all(verb in verbs for verb in args.verbs.split(",") if verb)
        and all(name in categories for name in args.categories.split(",") if name)
    )


def _key(
    group_version: "GroupVersion", one: "JsonObject", sort_by: str | None
) -> "tuple[str, ...]":
    if sort_by is not None:
        return (str(one[sort_by]),)
    return group_version.group, str(one["name"])


def _header(output: str | None) -> "Sequence[str]":
    usual = ("NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND")
    return (*usual, "VERBS", "CATEGORIES") if output == "wide" else usual


def _cells(group_version: "GroupVersion", one: "JsonObject", output: str | None) -> "Sequence[str]":
    short_names = ",".join(one.get("shortNames") or ())
    is_namespaced = _TRUE if one["namespaced"] else _FALSE
    usual = (one["name"], short_names, group_version.name, is_namespaced, one["kind"])
    if output != "wide":
        return usual
    return (*usual, ",".join(one["verbs"]), ",".join(one.get("categories") or ()))


def _qualified(group_version: "GroupVersion", one: "JsonObject") -> str:
    return f"{one['name']}.{group_version.group}" if group_version.group else str(one["name"])


def _tell_failed(snapshot: "Snapshot") -> int:
    import sys  # noqa: PLC0415 -- loaded long ago

    failed = [one for one in snapshot.group_versions.values() if one.state in {"failed", "stale"}]
    sys.stdout.flush()
    for one in failed:
        known = "its last known list is shown" if one.resources else "nothing is known of it"
        print(f"kubelag: {one.name} cannot be had: {one.why}; {known}", file=sys.stderr)
    return 1 if failed else 0
