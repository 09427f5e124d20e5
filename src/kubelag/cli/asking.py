"""What the client's commands share: a client from the options, timings told, the cache settled."""

import sys
import time
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubelag.cli.flags import Options
    from kubelag.kube.client import Client


@contextmanager
def asking(args: "Options") -> "Iterator[Client]":
    """A client; afterwards its timings are told and a child writes its cache.

    What kept the cache from being written is told once, in one line.
    """
    from kubelag.cli.behind import settle_behind  # noqa: PLC0415 -- `--help` needs none of it
    from kubelag.cli.kube_options import client_of  # noqa: PLC0415 -- the same
    from kubelag.cli.timings import Recorder  # noqa: PLC0415 -- the same

    recorder = Recorder(args.verbosity, time.perf_counter_ns())
    client = client_of(args, recorder)
    try:
        yield client
    finally:
        sys.stdout.flush()
        if args.timings:
            print(recorder.table(time.perf_counter_ns()), file=sys.stderr)
        settle_behind(client)
