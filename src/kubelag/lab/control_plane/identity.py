"""Who asks, and what they may. Pure.

The rights are the bootstrap policy's, as far as the lab needs them: masters may do everything,
readers may read every resource, whoever is authenticated may discover, everybody may ask for
health and version.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubelag.lab.control_plane.certificates import ADMIN_GROUP
from kubelag.lab.control_plane.inventory import JsonObject
from kubelag.lab.control_plane.paths import Target
from kubelag.lab.control_plane.tokens import READER_GROUP, TokenUser

PUBLIC_PATHS = ("/healthz", "/livez", "/readyz", "/version")
"""The cluster role system:public-info-viewer."""
DISCOVERY_PATHS = ("/api", "/apis", "/openapi")
"""The cluster role system:discovery, besides the public ones; with everything below them."""
READING_VERBS = ("get", "list", "watch")
"""What readers may do with every resource."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A user with their groups."""

    user: str
    groups: tuple[str, ...]

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody said who they are."""
        return self.user == ANONYMOUS_USER

    @property
    def is_exempt(self) -> bool:
        """Whether priority and fairness lets them pass at once: the mandatory flow schema."""
        return ADMIN_GROUP in self.groups


ANONYMOUS_USER = "system:anonymous"
ANONYMOUS = Identity(user=ANONYMOUS_USER, groups=("system:unauthenticated",))


def certificate_identity(certificate: Mapping[str, Any] | None) -> Identity | None:
    """The identity in a verified client certificate: CN is the user, every O a group.

    Args:
        certificate: As `ssl.SSLSocket.getpeercert` returns it; None or empty without one.
    """
    if not certificate:
        return None
    fields: Sequence[tuple[str, str]] = [
        pair for name in certificate.get("subject", ()) for pair in name
    ]
    users = [value for key, value in fields if key == "commonName"]
    groups = tuple(value for key, value in fields if key == "organizationName")
    return Identity(user=users[-1], groups=groups) if users else None


def authenticate(
    certificate: Identity | None, authorization: str, tokens: Sequence[TokenUser]
) -> Identity | None:
    """Who asks: the certificate counts first, then the token.

    Returns:
        None where a token was shown that nobody has (401).
    """
    if certificate is not None:
        return certificate
    token = bearer_token(authorization)
    if not token:
        return ANONYMOUS
    for known in tokens:
        if known.token == token:
            return Identity(user=known.user, groups=known.groups)
    return None


def bearer_token(authorization: str) -> str:
    """The token in the header; empty without one."""
    scheme, _, token = authorization.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def may(identity: Identity, path: str, target: Target | None) -> bool:
    """Whether they may."""
    if ADMIN_GROUP in identity.groups:
        return True
    if target is not None:
        return READER_GROUP in identity.groups and target.verb in READING_VERBS
    if path.rstrip("/") in PUBLIC_PATHS:
        return True
    roots = tuple(root for root in DISCOVERY_PATHS if path == root or path.startswith(root + "/"))
    return not identity.is_anonymous and bool(roots)


def refusal(
    identity: Identity, path: str, target: Target | None, verb: str
) -> tuple[str, JsonObject]:
    """Message and details of the 403, in the server's words."""
    if target is None:
        return f'forbidden: User "{identity.user}" cannot {verb} path "{path}"', {}
    qualified = f"{target.resource}.{target.group}" if target.group else target.resource
    subject = f'{qualified} "{target.name}"' if target.name else qualified
    where = f'in the namespace "{target.namespace}"' if target.namespace else "at the cluster scope"
    resource = "/".join(filter(None, (target.resource, target.subresource)))
    message = (
        f'{subject} is forbidden: User "{identity.user}" cannot {target.verb} resource '
        f'"{resource}" in API group "{target.group}" {where}'
    )
    details = {"name": target.name, "group": target.group, "kind": target.resource}
    return message, {key: value for key, value in details.items() if value}
