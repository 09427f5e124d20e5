"""The lab's own certificate authority, its servers and one administrator, as PEM files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kubelag.errors import LabError
from kubelag.lab.private_files import write_private

if TYPE_CHECKING:
    from trustme import CA, LeafCert

ADMIN_USER = "lab-admin"
ADMIN_GROUP = "system:masters"
"""The group that every API server lets do everything."""
PKI_DIRECTORY = "pki"
LOOPBACK = ("127.0.0.1", "localhost")
"""By which every server is known as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """Where one lab's PEM files are. The authority's own key is never written."""

    ca: Path
    server_certificate: Path
    server_key: Path
    client_certificate: Path
    client_key: Path

    @classmethod
    def below(cls, directory: Path) -> "Certificates":
        """The files of the lab in this directory, whether they exist or not."""
        pki = directory / PKI_DIRECTORY
        return cls(
            ca=pki / "ca.crt",
            server_certificate=pki / "server.crt",
            server_key=pki / "server.key",
            client_certificate=pki / "client.crt",
            client_key=pki / "client.key",
        )


def issue(directory: Path) -> Certificates:
    """Make a new authority and write what it signed for one server, on loopback.

    Raises:
        LabError: The package that makes certificates is not installed.
    """
    (paths,) = issue_all({directory: ()})
    return paths


def issue_all(servers: Mapping[Path, Sequence[str]]) -> tuple[Certificates, ...]:
    """Make one new authority, and write what it signed for several servers.

    Args:
        servers: The names and addresses by which each server is known, by its directory; loopback
            comes on top. All get the same client certificate.

    Raises:
        LabError: The package that makes certificates is not installed.
    """
    try:
        import trustme  # noqa: PLC0415 - cryptography is heavy, and part of an extra
    except ImportError as error:
        raise LabError(
            "The lab needs the Python package trustme", "pip install 'kubelag[lab]'"
        ) from error
    authority = trustme.CA()
    # a name of its own, because Go refuses trustme's empty list of alternative names
    client = authority.issue_cert(
        f"{ADMIN_USER}.invalid", common_name=ADMIN_USER, organization_name=ADMIN_GROUP
    )
    for directory, names in servers.items():
        # an address that is named twice stands in the certificate once
        server = authority.issue_cert(*dict.fromkeys((*LOOPBACK, *names)))
        _write(Certificates.below(directory), authority, server, client)
    return tuple(map(Certificates.below, servers))


def _write(paths: Certificates, authority: "CA", server: "LeafCert", client: "LeafCert") -> None:
    paths.ca.parent.mkdir(mode=0o700, exist_ok=True)
    write_private(paths.ca, authority.cert_pem.bytes())
    write_private(paths.server_certificate, _chain(server))
    write_private(paths.server_key, server.private_key_pem.bytes())
    write_private(paths.client_certificate, _chain(client))
    write_private(paths.client_key, client.private_key_pem.bytes())


def _chain(leaf: "LeafCert") -> bytes:
    return b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
