"""Lets a child do what nobody waits for: writing the cache, asking anew for what is old.

A disk that takes a second for a rename would otherwise hold the command up at its end. The child
lives for a moment, in a session of its own, with no stream of the parent's, so that neither a pipe
nor a terminal waits for it. A thread would not do: a process does not end while one of its threads
waits for a disk.
"""

import os
import sys

_DESCRIPTORS = 65536
"""More than a shell or a script hands on. Arbitrary; closing what is not open costs nothing."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kubelag.kube.client import Client


def settle_behind(client: "Client") -> None:
    """Settle in a child; at once where there can be none."""
    if not client.discovery.has_work_left:
        client.forget_connections()
        return
    if obstacle := client.obstacle:
        print(
            f"kubelag: working from memory, since the cache cannot be used: {obstacle}",
            file=sys.stderr,
        )
        client.forget_connections()
        return
    try:
        pid = os.fork()
    except OSError:
        client.close()
        return
    if pid == 0:
        _be_the_child(client)


def _be_the_child(client: "Client") -> None:
    from kubelag.errors import KubelagError  # noqa: PLC0415 -- loaded long ago

    try:
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        # Sockets and TLS state are the parent's, and so is whatever it was given: a lock that a
        # script holds through a descriptor must end with the command.
        client.forget_connections()
        os.closerange(3, _DESCRIPTORS)
        client.settle(may_ask=client.may_ask_unseen)
    except (KubelagError, OSError):
        pass  # nobody is left to be told, and nothing was promised
    finally:
        os._exit(0)
