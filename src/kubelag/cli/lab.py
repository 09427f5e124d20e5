"""`kubelag lab`: a real place to be slow in."""

import argparse
import os
import shlex
import sys

from kubelag.cli.ending import ending_as_interrupt
from kubelag.errors import LabError

DESCRIPTION = """\
A real place to be slow in: a slow disk, an API server, old clients, and a fault for every cause.

  kubelag lab up                    a disk with 60 ms per fsync and a cluster with 77 group-versions
  eval "$(kubelag lab env)"         use them in this shell
  kubelag lab kubectl 1.20.2        print the path of an old client, unpacked and not installed
  kubelag lab faults                every fault: what it does, where it plays, how to see it act
  kubelag lab run incident          the founding incident, end to end
  kubelag lab down                  take everything away; also after a crash

The whole architecture, as network namespaces (root only): a client's node, three masters, each
with keepalived (one shared address), HAProxy (port 8443) and an API server (6443), DNS, a proxy.

  kubelag lab up --topology ha      nothing of the machine's own network is touched
  kubelag lab exec -- kubectl get nodes                  on the client's node
  kubelag lab exec --node master1 -- ss -tn              look around on any other
  kubelag lab fault dead_backend on                      put one fault in; off takes it out
  kubelag lab run dead_backend                           put it in, explain it, take it out
  kubelag lab run incident --topology ha                 only the client's disk is slow
"""

_USE_SINGLE = 'eval "$(kubelag lab env)"'


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `kubelag lab`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _configure_up(actions.add_parser("up", help="bring the lab up"))
    actions.add_parser("status", help="say what is up")
    actions.add_parser("env", help="print what a shell needs to use the lab")
    actions.add_parser("down", help="take everything away")
    client = actions.add_parser("kubectl", help="fetch an old kubectl, or list those at hand")
    client.add_argument("version", nargs="?", help="for example 1.20.2, or newest")
    actions.add_parser("faults", help="list the faults, and how to see each one act")
    fault = actions.add_parser("fault", help="put one fault into the HA lab, or take it out")
    fault.add_argument("fault", metavar="NAME", help="see: kubelag lab faults")
    fault.add_argument("switch", choices=("on", "off"))
    _configure_exec(actions.add_parser("exec", help="run a command on a node of the HA lab"))
    _configure_run(
        actions.add_parser("run", help="run a fault and explain it; without a name, list them")
    )


def run(args: argparse.Namespace) -> int:
    """Do what the action says."""
    _need_parts()
    action = {
        "up": _up,
        "status": _status,
        "env": _env,
        "down": _down,
        "kubectl": _kubectl,
        "faults": _faults,
        "fault": _fault,
        "exec": _exec,
        "run": _run,
    }[args.action]
    with ending_as_interrupt():
        return action(args)


def _configure_exec(parser: argparse.ArgumentParser) -> None:
    parser.usage = "kubelag lab exec [--node NAME] [--] COMMAND..."
    parser.add_argument(
        "--node", default="client", help="client, master1, master2, master3, dns or proxy"
    )
    parser.add_argument("argv", nargs=argparse.REMAINDER, metavar="COMMAND...")


def _configure_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("fault", nargs="?", help="for example incident")
    parser.add_argument(
        "--topology",
        choices=("single", "ha"),
        help="for a fault that both have; the HA lab that is up is used, else one is made",
    )
    parser.add_argument("--format", metavar="NAME", help="terminal, plain or json")
    parser.add_argument("--save", metavar="DIRECTORY", help="keep what was seen in a bundle")
    parser.add_argument("--budget", type=float, metavar="SECONDS")


def _configure_up(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--topology",
        choices=("single", "ha"),
        default="single",
        help="ha: three masters behind one address, in network namespaces",
    )
    parser.add_argument(
        "--control-plane",
        choices=("embedded", "envtest"),
        default="embedded",
        help="envtest: the real kube-apiserver and etcd of KUBEBUILDER_ASSETS",
    )
    parser.add_argument(
        "--disk",
        choices=("auto", "block", "fuse", "none"),
        default="auto",
        help="auto: a block device where root, FUSE otherwise (single topology only)",
    )
    parser.add_argument(
        "--fsync-ms", type=float, default=60.0, metavar="MS", help="(default: %(default).0f)"
    )
    parser.add_argument("--group-versions", type=int, default=77, metavar="N")
    parser.add_argument("--nodes", type=int, default=3, metavar="N")
    parser.add_argument("--pods", type=int, default=20, metavar="N")
    parser.add_argument(
        "--aggregated",
        choices=("none", "v2beta1", "v2", "both"),
        default="none",
        help="which aggregated discovery the embedded server speaks",
    )
    parser.add_argument(
        "--latency-ms", type=float, default=0.0, metavar="MS", help="added to every answer"
    )


def _need_parts() -> None:
    try:
        import hypercorn  # noqa: F401, PLC0415 - the extra is there or it is not
        import trustme  # noqa: F401, PLC0415 - the same
    except ImportError as error:
        raise LabError(
            f"The lab's parts are not installed ({error.name})", "pip install 'kubelag[lab]'"
        ) from error


def _say(text: str) -> None:
    print(f"kubelag: {text}", file=sys.stderr, flush=True)


def _up(args: argparse.Namespace) -> int:
    from kubelag.lab.control_plane.options import ControlPlaneOptions  # noqa: PLC0415 - heavy
    from kubelag.lab.session import Wish, bring_up  # noqa: PLC0415 - the same

    options = ControlPlaneOptions(
        group_versions=args.group_versions,
        nodes=args.nodes,
        pods=args.pods,
        aggregated=args.aggregated,
        latency_s=args.latency_ms / 1000,
    )
    wish = Wish(
        topology=args.topology,
        control_plane=args.control_plane,
        options=options,
        disk=args.disk,
        fsync_ms=args.fsync_ms,
    )
    lab = bring_up(wish, os.environ, _say)
    print(f"The lab is up: {lab.url} ({lab.version})\nDisk: {lab.disk}")
    use = "kubelag lab exec -- kubectl get nodes"
    print(f"Use it:  {use if lab.topology == 'ha' else _USE_SINGLE}")
    print("End it:  kubelag lab down")
    return 0


def _status(_args: argparse.Namespace) -> int:
    from kubelag.lab.session import look  # noqa: PLC0415 - heavy

    lab = look(os.environ)
    if lab is None:
        print("No lab is up. Bring one up: kubelag lab up")
        return 3
    state = "up" if lab.is_running else "broken, a part of it is gone; see: kubelag lab down"
    print(f"The lab is {state}\nServer: {lab.url} ({lab.version})\nDisk: {lab.disk}")
    if lab.topology == "ha":
        from kubelag.cli.lab_ha import print_status  # noqa: PLC0415 - heavy

        print_status()
        print(f"Fault: {lab.fault or 'none'}")
    for name, value in lab.environment().items():
        print(f"{name}: {value}")
    return 0 if lab.is_running else 1


def _env(_args: argparse.Namespace) -> int:
    from kubelag.lab.session import look  # noqa: PLC0415 - heavy

    lab = look(os.environ)
    if lab is None:
        raise LabError("No lab is up", "bring one up: kubelag lab up")
    if lab.topology == "ha":
        raise LabError(
            "The nodes of the HA lab are no place for this shell",
            "run a command there: kubelag lab exec -- kubectl get nodes",
        )
    # These would lead clients and remedies past the lab's home, to the user's own files.
    print("unset KUBECACHEDIR XDG_STATE_HOME XDG_CONFIG_HOME")
    for name, value in lab.environment().items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _down(_args: argparse.Namespace) -> int:
    from kubelag.lab.session import take_down  # noqa: PLC0415 - heavy

    taken = take_down(os.environ)
    print("The lab is down." if taken else "No lab was up.")
    return 0


def _kubectl(args: argparse.Namespace) -> int:
    from kubelag.lab.debian_client import unpack_kubectl  # noqa: PLC0415 - heavy
    from kubelag.observe.other_clients import find_kubectls, newest  # noqa: PLC0415 - the same

    if args.version == "newest":
        found = newest(find_kubectls(os.environ))
        if found is None:
            raise LabError("This machine has no kubectl", "kubelag lab kubectl 1.20.2")
        print(found.path)
    elif args.version:
        print(unpack_kubectl(args.version, os.environ).path)
    else:
        for client in find_kubectls(os.environ):
            what = f"{client.version or 'unknown'}{'  (a wrapper)' if client.is_wrapper else ''}"
            print(f"{what:<24}{client.path}")
    return 0


def _faults(_args: argparse.Namespace) -> int:
    from kubelag.cli.lab_run import list_faults  # noqa: PLC0415 - heavy

    return list_faults()


def _fault(args: argparse.Namespace) -> int:
    from kubelag.cli.lab_ha import switch  # noqa: PLC0415 - heavy

    return switch(args.fault, args.switch)


def _exec(args: argparse.Namespace) -> int:
    from kubelag.cli.lab_ha import execute  # noqa: PLC0415 - heavy

    return execute(args.node, args.argv[1:] if args.argv[:1] == ["--"] else args.argv)


def _run(args: argparse.Namespace) -> int:
    from kubelag.cli.lab_run import list_faults, run_fault  # noqa: PLC0415 - heavy

    return run_fault(args) if args.fault else list_faults()
