"""The faults by name; a fault's own file is loaded only when it is wanted."""

import importlib
from typing import NamedTuple, cast

from kubelag.errors import LabError
from kubelag.lab.faults.contract import Fault


class Listed(NamedTuple):
    """A line of the catalogue."""

    id: str
    summary: str
    needs: str
    aliases: tuple[str, ...] = ()


FAULTS = (
    Listed(
        "discovery_cache_fsync",
        "an old kubectl syncs every cache write to a slow disk: the founding incident",
        "root, or FUSE",
        ("incident",),
    ),
    Listed("cache_metadata_slow", "the cache lies on a file system slow to look up", "FUSE"),
    Listed("journal_wait", "a new kubectl's renames wait for a slow disk's journal", "root"),
    Listed(
        "cache_unwritable", "the cache cannot be written, so it is fetched each time", "nothing"
    ),
    Listed("credential_plugin_slow", "the credential plugin takes two seconds", "nothing"),
    Listed("api_server_slow", "the API server takes 0.3 s for each answer", "nothing"),
    Listed("cpu_throttled", "a control group allows a fraction of one processor", "root"),
    Listed("cpu_contended", "other processes want every processor", "nothing"),
    Listed("memory_pressure", "a memory limit evicts the program while it runs", "root"),
    Listed("nothing", "nothing is slow, and nothing may be accused", "nothing"),
)


def find_fault(name: str) -> Fault:
    """The fault with this id or alias; `-` stands for `_`.

    Raises:
        LabError: There is none; names them all.
    """
    wanted = name.replace("-", "_")
    for listed in FAULTS:
        if wanted == listed.id or wanted in listed.aliases:
            module = importlib.import_module(f"kubelag.lab.faults.{listed.id}")
            return cast("Fault", module.FAULT)
    names = ", ".join(listed.id for listed in FAULTS)
    raise LabError(f"The lab has no fault {name}", f"choose from {names}")
