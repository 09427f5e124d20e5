"""`kubelag cache`: what is in the discovery cache, what is wrong with it, and its repair."""

from kubelag.cli.flags import Option, add_to
from kubelag.cli.kube_options import KUBE_OPTIONS
from kubelag.errors import KubelagError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from kubelag.cli.flags import Options
    from kubelag.kube.cache.findings import Finding
    from kubelag.kube.cache.repair import Repaired
    from kubelag.kube.cache.status import CacheStatus, HostStatus

DESCRIPTION = """\
The discovery cache that kubectl and kubelag share.

  kubelag cache status       whose server, how old, how large, fresh for whom
  kubelag cache verify       everything that is wrong in it; changes nothing
  kubelag cache repair       remove what is damaged, and say what was done
  kubelag cache warm         ask the server now, and write it for every kubectl
  kubelag cache clear        remove what is cached, and nothing else

After a crash an unsynced file may be empty. kubectl takes an empty serverresources.json for a
valid list without resources, so that a group is unknown until its time is over: `verify` finds
that and whatever else can be wrong, `repair` heals it.

Exit codes: 0 done, or nothing wrong; 1 something is wrong, or could not be done; 2 usage.
"""
TAKES_WORDS = True
_ACTIONS = ("status", "verify", "repair", "warm", "clear")
OPTIONS = (
    Option(names=("-o", "--output"), choices=("text", "json"), default="text", help="text or json"),
    *KUBE_OPTIONS,
)


def configure(parser: "argparse.ArgumentParser") -> None:
    """Add the arguments of `cache`."""
    parser.usage = f"kubelag cache {'|'.join(_ACTIONS)} [--cache-dir DIR] [options]"
    parser.add_argument("words", nargs="*", metavar="ACTION", help=", ".join(_ACTIONS))
    add_to(parser, OPTIONS)


def run(args: "Options") -> int:
    """Do what is asked, and return the exit code."""
    actions = {
        "status": _status,
        "verify": _verify,
        "repair": _repair,
        "warm": _warm,
        "clear": _clear,
    }
    if len(args.words) != 1 or args.words[0] not in actions:
        raise UsageError("it is not said what to do with the cache", f"one of {', '.join(actions)}")
    return actions[args.words[0]](args)


def _root(args: "Options") -> str:
    import os  # noqa: PLC0415 -- loaded long ago

    from kubelag.kube.cache.layout import cache_root  # noqa: PLC0415 -- `--help` needs none of it

    return cache_root(args.cache_dir, os.environ, None, os.getcwd()).path  # noqa: PTH109 -- text


def _status(args: "Options") -> int:
    from kubelag.kube.cache.status import status  # noqa: PLC0415 -- one action of five

    found = status(_root(args))
    if args.output == "json":
        _print_json({**vars(found), "hosts": [vars(host) for host in found.hosts]})
    else:
        print(_status_text(found))
    return 0


def _status_text(found: "CacheStatus") -> str:
    from kubelag.model.units import counted  # noqa: PLC0415 -- text only

    lines = [f"cache below {found.root}"]
    lines += [_host_text(host) for host in found.hosts] or ["  nothing is cached"]
    http = counted(found.http_entries, "HTTP answer")
    lines.append(f"  {http}, {_kib(found.http_bytes)}, of all servers together")
    lines += [f"  could not look: {clause}" for clause in found.could_not_look]
    return "\n".join(lines)


def _host_text(host: "HostStatus") -> str:
    from kubelag.model.units import counted  # noqa: PLC0415 -- text only

    fresh = [
        name
        for name, is_fresh in (
            ("kubectl up to 1.23", host.is_fresh_until_1_23),
            ("kubectl from 1.24 on", host.is_fresh_since_1_24),
            ("kubelag", host.is_fresh_for_kubelag),
        )
        if is_fresh
    ]
    what = f"{counted(host.group_versions, 'group-version')}, {_kib(host.size_bytes)}"
    ages = f"{_age(host.newest_age_s)} to {_age(host.oldest_age_s)} old"
    written = (
        f"last written by {host.writer}, {ages}" if host.group_versions else "none of kubectl's"
    )
    return (
        f"  {host.server or host.path}\n"
        f"    {what}; {written}\n"
        f"    fresh for {', '.join(fresh) or 'nobody'}"
    )


def _verify(args: "Options") -> int:
    from kubelag.kube.cache.verify import verify  # noqa: PLC0415 -- one action of five
    from kubelag.model.units import counted  # noqa: PLC0415 -- text only

    found = verify(_root(args))
    if args.output == "json":
        _print_json({**vars(found), "findings": [vars(one) for one in found.findings]})
        return 1 if found.damages else 0
    for finding in found.damages:
        print(_finding_text(finding))
    for path in found.unswept:
        print(f"{path}: last written before this boot; a crash may have left files empty")
    expired = len(found.findings) - len(found.damages)
    old = f", {expired} past {'its' if expired == 1 else 'their'} time" if expired else ""
    wrong = len(found.damages)
    summary = f"{wrong} of them wrong; `kubelag cache repair` heals" if wrong else "nothing wrong"
    print(f"looked at {counted(found.files, 'file')} below {found.root}: {summary}{old}")
    return 1 if found.damages else 0


def _finding_text(finding: "Finding") -> str:
    healing = f"\n  repair: {finding.healing}" if finding.healing else ""
    return f"{finding.path}: {finding.problem}\n  {finding.meaning}{healing}"


def _repair(args: "Options") -> int:
    from kubelag.kube.cache.repair import repair  # noqa: PLC0415 -- one action of five

    found = repair(_root(args))
    if args.output == "json":
        _print_json({"repaired": [vars(one) for one in found]})
    else:
        print(_repair_text(found, _root(args)))
    return 1 if any(one.why_not for one in found) else 0


def _repair_text(found: "Sequence[Repaired]", root: str) -> str:
    lines = [
        f"{one.path}: {one.problem}: {one.done or f'left alone, {one.why_not}'}" for one in found
    ]
    return "\n".join(lines) or f"nothing to repair below {root}"


def _warm(args: "Options") -> int:
    from kubelag.cli.asking import asking  # noqa: PLC0415 -- one action of five
    from kubelag.model.units import counted  # noqa: PLC0415 -- text only

    with asking(args) as client:
        snapshot = client.discovery.refresh()
        client.settle()
        failed = [
            one for one in snapshot.group_versions.values() if one.state in {"failed", "stale"}
        ]
        if client.troubles:
            raise KubelagError(
                f"the cache could not be written: {'; '.join(client.troubles)}",
                "choose another place with --cache-dir",
            )
        what = counted(len(snapshot.group_versions), "group-version")
        print(f"{what} of {client.server} below {_root(args)}")
        for one in failed:
            print(f"  {one.name} could not be had: {one.why}")
        return 1 if failed else 0


def _clear(args: "Options") -> int:
    from kubelag.kube.cache.clearing import clear  # noqa: PLC0415 -- one action of five
    from kubelag.model.units import counted  # noqa: PLC0415 -- text only

    found = clear(_root(args), server=args.server or None)
    if args.output == "json":
        _print_json(vars(found))
    else:
        print(
            f"removed {counted(found.files, 'file')}, {_kib(found.size_bytes)}, below {_root(args)}"
        )
        for clause in found.kept:
            print(f"  kept: {clause}")
    return 1 if found.kept else 0


def _print_json(value: object) -> None:
    import json  # noqa: PLC0415 -- loaded long ago

    print(json.dumps(value, indent=2, default=_plain))


def _plain(value: object) -> object:
    return vars(value) if hasattr(value, "__dict__") else str(value)


def _age(age_s: float | None) -> str:
    from kubelag.kube.printing.age import human_duration  # noqa: PLC0415 -- text only

    return human_duration(age_s) if age_s is not None else "unknown"


def _kib(size_bytes: int) -> str:
    return f"{size_bytes / 1024:.0f} KiB"
