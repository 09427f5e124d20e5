"""Debian's kubectl, fetched and unpacked without installing it.

Debian 12 ships `kubernetes-client` 1.20.5+really1.20.2: upstream 1.20.2, with the fsyncs of the
founding incident. Works for any user, since `apt-get download` and `dpkg-deb -x` need no root.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kubelag.errors import LabError
from kubelag.lab.private_files import make_private_directory, write_private
from kubelag.lab.tools import run_tool
from kubelag.observe.other_clients import clients_directory

PACKAGE = "kubernetes-client"
BINARY = Path("usr/bin/kubectl")
MANIFEST = "client.json"
APT_S = 300.0
"""The package has 8 MB; a slow mirror may take minutes. Arbitrary."""
ANOTHER = "give a kubectl by its path, which is used as it is"
REALLY = re.compile(r"\+really(\d+\.\d+\.\d+)")
UPSTREAM = re.compile(r"(?:\d+:)?(\d+\.\d+\.\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptClient:
    """A kubectl that the lab keeps."""

    path: Path
    version: str
    sha256: str
    """Of the binary, as it was fetched and still is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One version that the package archive has."""

    package_version: str
    """For example `1.20.5+really1.20.2-1.1+deb12u1`."""
    upstream: str
    """For example `1.20.2`."""


def unpack_kubectl(version: str, environment: Mapping[str, str]) -> KeptClient:
    """The kubectl of this version from the package archive; fetched once, checked every time.

    Raises:
        LabError: The archive does not have it (says what it has), cannot be reached, or there is
            no place to keep it.
    """
    kept = clients_directory(environment)
    if kept is None:
        raise LabError("There is no place to keep a kubectl", "set HOME or XDG_CACHE_HOME")
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise LabError(f"{version} is not a version of kubectl", "say it like 1.20.2")
    make_private_directory(kept)
    directory = kept / version
    with _alone(kept / f".{version}.lock"):
        known = _verified(directory, version)
        if known is not None:
            return known
        _fetch(_find_offer(version), directory)
    fetched = _verified(directory, version)
    if fetched is None:
        raise LabError(f"What was unpacked to {directory} is not whole", "try again")
    return fetched


def parse_offers(madison: str) -> tuple[Offer, ...]:
    """What `apt-cache madison` lists, newest first, each version once."""
    versions = [line.split("|")[1].strip() for line in madison.splitlines() if line.count("|") > 1]
    offers = {version: upstream_version(version) for version in versions}
    return tuple(
        Offer(package_version=version, upstream=upstream)
        for version, upstream in offers.items()
        if upstream
    )


def upstream_version(package_version: str) -> str | None:
    """The upstream version in a Debian one; what follows `+really` is what it really is."""
    found = REALLY.search(package_version) or UPSTREAM.match(package_version)
    return found[1] if found else None


def _find_offer(version: str) -> Offer:
    offers = _offers()
    if not offers and os.geteuid() == 0:
        _apt(("apt-get", "update", "-qq"), Path("/"))
        offers = _offers()
    for offer in offers:
        if offer.upstream == version:
            return offer
    if offers:
        have = ", ".join(offer.upstream for offer in offers)
        raise LabError(
            f"The package archive has no kubectl {version}, only {have}",
            f"ask for one of those, or {ANOTHER}",
        )
    raise LabError(
        f"The package archive knows no package {PACKAGE}",
        f"try on Debian 12: sudo apt-get update; or {ANOTHER}",
    )


def _offers() -> tuple[Offer, ...]:
    return parse_offers(_apt(("apt-cache", "madison", PACKAGE), Path("/")))


def _fetch(offer: Offer, directory: Path) -> None:
    """Download, unpack and put in place; a half-done one is never found under its name."""
    with tempfile.TemporaryDirectory(prefix=".unpack-", dir=directory.parent) as name:
        work = Path(name)
        _apt(("apt-get", "-qq", "download", f"{PACKAGE}={offer.package_version}"), work)
        package = next(work.glob("*.deb"), None)
        if package is None:
            raise LabError(f"apt-get brought no {PACKAGE}", "run: sudo apt-get update")
        _apt(("dpkg-deb", "-x", package.name, "root"), work)
        manifest = {
            "package": PACKAGE,
            "package_version": offer.package_version,
            "package_sha256": _sha256(package),
            "kubectl_sha256": _sha256(work / "root" / BINARY),
        }
        ready = make_private_directory(work / "ready")
        (work / "root" / BINARY).rename(ready / "kubectl")
        write_private(ready / MANIFEST, json.dumps(manifest, indent=2) + "\n")
        if directory.exists():
            shutil.rmtree(directory)
        ready.rename(directory)


def _verified(directory: Path, version: str) -> KeptClient | None:
    """The kept client, if every byte is as it was fetched."""
    path = directory / "kubectl"
    try:
        expected = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))["kubectl_sha256"]
        if expected != _sha256(path):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return KeptClient(path=path, version=version, sha256=str(expected))


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _apt(argv: Sequence[str], directory: Path) -> str:
    options = ("-o", "APT::Sandbox::User=root")  # the private directory is closed to user _apt
    words = (argv[0], *options, *argv[1:]) if argv[0].startswith("apt-") else tuple(argv)
    return run_tool(
        words,
        problem="Debian's kubectl cannot be fetched",
        next_step=f"try: sudo apt-get update; or {ANOTHER}",
        timeout_s=APT_S,
        directory=directory,
    )


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Two labs that want the same client fetch it once."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
