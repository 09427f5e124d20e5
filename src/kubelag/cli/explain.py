"""`kubelag explain`: run a command under observation, say where its seconds went, prove it."""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from kubelag.cli.ending import INTERRUPTED, ending_as_interrupt
from kubelag.cli.main import discard_output
from kubelag.errors import BundleError, KubelagError, UsageError

if TYPE_CHECKING:
    from kubelag.engine.explain import Explained

DESCRIPTION = """\
Run a command under observation, say where every second went, and prove the cause by removing
that one factor and running the command again.

  kubelag explain kubectl get nodes            as it is, with your own cache
  kubelag explain --cold kubectl get nodes     with a fresh cache on the same file system
  kubelag explain --save bundle/ kubectl get nodes
  kubelag explain --from bundle/               the same report from what was saved, anywhere
  kubelag explain --from bundle/ --peer-pcap far.pcap --pcap near.pcap
                                               who was silent: the client, the server, the network
  kubelag explain --haproxy /run/haproxy/admin.sock kubectl get nodes

Nothing of yours is changed. Only commands that are known to read are run again; any other is
refused, or watched exactly once with --once. The exit code is the command's own; 130 after
Ctrl-C, with the report of what was seen."""


_TRY = "try: kubelag explain kubectl get nodes"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `kubelag explain`."""
    parser.usage = "kubelag explain [options] [--] COMMAND..."
    parser.add_argument(
        "--cold",
        action="store_true",
        help="use a fresh cache directory on the same file system; your own cache is left alone",
    )
    parser.add_argument(
        "--once",
        action="store_true",
        help="watch one single run of a command that may change something; it is never repeated",
    )
    parser.add_argument(
        "--no-proof", action="store_true", help="only observe: run the command once and no more"
    )
    parser.add_argument(
        "--budget",
        type=_positive_seconds,
        metavar="SECONDS",
        help="begin no round of experiments that would end later "
        "(default: six times the observed run, at least 120)",
    )
    parser.add_argument(
        "--try",
        dest="tried",
        action="append",
        default=[],
        metavar="EXPERIMENT",
        help="run this experiment too, whoever is suspected: http1_only, bypass_vip, "
        "direct_backend:master1; --try help lists them all; may be given several times",
    )
    parser.add_argument("--format", metavar="NAME", help="terminal, plain or json")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="write the report here, not to standard output"
    )
    parser.add_argument(
        "--save", type=Path, metavar="DIRECTORY", help="keep everything that was seen in a bundle"
    )
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="DIRECTORY",
        help="make the report from a saved bundle; nothing is run",
    )
    _configure_network(parser)
    parser.add_argument(
        "--show-output", action="store_true", help="let the observed run's own output through"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")
    parser.add_argument("argv", nargs=argparse.REMAINDER, metavar="COMMAND...")


def _configure_network(parser: argparse.ArgumentParser) -> None:
    """The flags that say something of the way to the server."""
    parser.add_argument(
        "--backend",
        action="append",
        default=[],
        metavar="HOST:PORT",
        help="an API server behind the balancer; may be given several times "
        "(default: those of the `kubernetes` Endpoints object)",
    )
    parser.add_argument(
        "--haproxy",
        type=Path,
        metavar="FILE",
        help="the balancer's haproxy.cfg, or its stats socket",
    )
    parser.add_argument(
        "--no-capture", action="store_true", help="capture no packets, also where it is permitted"
    )
    parser.add_argument(
        "--pcap",
        type=Path,
        metavar="FILE",
        help="a capture that was taken on this machine: with --from, of that run; alone, of "
        "whatever ran meanwhile",
    )
    parser.add_argument(
        "--peer-pcap",
        type=Path,
        metavar="FILE",
        help="a capture of the same connections at the other end; it is read after the run",
    )


def run(args: argparse.Namespace) -> int:
    """Explain a command, a bundle, or a capture."""
    argv = tuple(args.argv[1:] if args.argv[:1] == ["--"] else args.argv)
    if args.tried:
        from kubelag.cli.tried import check, describe  # noqa: PLC0415 - start-up is part of what we sell

        if args.tried == ["help"]:
            print(describe())
            return 0
        check(args)
    if args.format:
        _check_format(args.format)
    if argv and args.source is not None:
        raise UsageError("explain takes a command or --from a bundle, not both", _TRY)
    if not argv and args.source is None and args.pcap is None:
        raise UsageError("explain needs a command, --from a bundle, or --pcap a capture", _TRY)
    with ending_as_interrupt():
        if argv:
            return _explain(argv, args)
        return _from_bundle(args) if args.source else _from_capture(args)


def _explain(argv: tuple[str, ...], args: argparse.Namespace) -> int:
    from kubelag.bundle import check_place, save  # noqa: PLC0415 - start-up is part of what we sell
    from kubelag.cli.progress import teller_for  # noqa: PLC0415 - the same
    from kubelag.engine.captures import Files  # noqa: PLC0415 - the same
    from kubelag.engine.explain import Wish, explain  # noqa: PLC0415 - the same
    from kubelag.engine.road import Hints  # noqa: PLC0415 - the same

    if args.save:
        check_place(args.save)
    if args.output:
        _check_output(args.output)
    teller = teller_for(quiet=args.quiet, budget_s=args.budget)
    wish = Wish(
        argv=argv,
        env=_environment(),
        cold=args.cold,
        once=args.once,
        prove=not args.no_proof,
        experiments=tuple(dict.fromkeys(args.tried)),
        hints=Hints(
            backends=tuple(args.backend), haproxy=args.haproxy, captures=not args.no_capture
        ),
        captures=Files(near=args.pcap, far=args.peer_pcap),
        budget_s=args.budget,
        show_output=args.show_output,
    )
    try:
        explained = explain(wish, teller)
    finally:
        teller.close()
    evidence = explained.judged.case.evidence
    if args.save:
        save(args.save, evidence, explained.trial)
    _write(explained, args)
    run_ = evidence.run
    if explained.is_interrupted:
        return INTERRUPTED
    return 128 + run_.signal if run_.signal else run_.exit_code or 0


def _from_bundle(args: argparse.Namespace) -> int:
    from kubelag.bundle import load  # noqa: PLC0415 - start-up is part of what we sell
    from kubelag.causes.catalogue import all_causes  # noqa: PLC0415 - the same
    from kubelag.engine.captures import Files, with_captures  # noqa: PLC0415 - the same
    from kubelag.engine.explain import Explained  # noqa: PLC0415 - the same
    from kubelag.engine.reporting import judge  # noqa: PLC0415 - the same

    bundle = load(args.source)
    evidence = with_captures(bundle.evidence, Files(near=args.pcap, far=args.peer_pcap))
    try:
        _write(Explained(judged=judge(evidence, all_causes()), trial=bundle.trial), args)
    except (ValueError, OverflowError) as error:
        raise BundleError(
            f"{args.source} holds a figure that cannot be ({error})", "save it again"
        ) from error
    return 0


def _from_capture(args: argparse.Namespace) -> int:
    from kubelag.causes.catalogue import NETWORK_CAUSES  # noqa: PLC0415 - start-up is part of what we sell
    from kubelag.engine.captures import Files, evidence_of  # noqa: PLC0415 - the same
    from kubelag.engine.explain import Explained  # noqa: PLC0415 - the same
    from kubelag.engine.reporting import judge  # noqa: PLC0415 - the same
    from kubelag.model.experiment import Trial  # noqa: PLC0415 - the same

    evidence = evidence_of(Files(near=args.pcap, far=args.peer_pcap))
    _write(Explained(judged=judge(evidence, NETWORK_CAUSES), trial=Trial()), args)
    return 0


def _write(explained: "Explained", args: argparse.Namespace) -> None:
    from kubelag.engine.reporting import report_on  # noqa: PLC0415 - start-up is part of what we sell
    from kubelag.remedies.catalogue import advise  # noqa: PLC0415 - the same
    from kubelag.report.formats import default_format, writer  # noqa: PLC0415 - the same

    report = report_on(explained.judged, explained.trial, advise)
    with _opened(args.output) as stream:
        writer(args.format or default_format(stream))(report, stream)
        stream.flush()


def _check_output(path: Path) -> None:
    """Say so before a long run, not after it."""
    parent = path.absolute().parent
    if path.is_dir():
        why = "it is a directory"
    elif path.exists():
        why = "" if os.access(path, os.W_OK) else "it is not yours to write"
    elif not parent.is_dir():
        why = f"there is no directory {parent}"
    else:
        why = "" if os.access(parent, os.W_OK | os.X_OK) else f"nothing can be written to {parent}"
    if why:
        raise _unwritable(str(path), why)


def _unwritable(where: str, why: str) -> KubelagError:
    message = f"the report cannot be written to {where} ({why})"
    return KubelagError(message, "choose another place with --output")


@contextmanager
def _opened(path: Path | None) -> Iterator[TextIO]:
    """A report names hosts and paths: it is the owner's to share, so 0600 if it is new."""
    where = str(path or "standard output")
    try:
        if path is None:
            if sys.stdout is None:
                raise _unwritable(where, "it is closed")
            yield sys.stdout
            return
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as stream:
            yield stream
    except BrokenPipeError:  # whoever read it has read enough
        raise
    except OSError as error:
        if path is None:
            discard_output()
        raise _unwritable(where, (error.strerror or str(error)).lower()) from error


def _environment() -> Mapping[str, str]:
    from kubelag.launch.no_sync import environment_as_started  # noqa: PLC0415 - as above

    return environment_as_started(os.environ)


def _check_format(name: str) -> None:
    from kubelag.report.formats import writer  # noqa: PLC0415 - start-up is part of what we sell

    writer(name)


def _positive_seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above zero")
    return value
