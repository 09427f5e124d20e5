"""Reads an Accept header the way an API server does: clause by clause, parameters in any order.

Source: RFC 9110 §12.5.1; `k8s.io/apiserver/pkg/endpoints/handlers/negotiation`.
"""

from collections.abc import Collection
from dataclasses import dataclass

PLAIN_JSON = "application/json"


@dataclass(frozen=True, slots=True, order=True)
class Form:
    """What a client wants an answer converted to; the plain object where all is empty."""

    kind: str = ""
    """`as`: Table, APIGroupDiscoveryList, …"""
    version: str = ""
    group: str = ""

    @property
    def content_type(self) -> str:
        """As the server tells it; tables are announced as plain JSON, discovery is not."""
        if self.kind != "APIGroupDiscoveryList":
            return PLAIN_JSON
        return f"{PLAIN_JSON};g={self.group};v={self.version};as={self.kind}"


PLAIN = Form()
TABLES = tuple(Form("Table", version, "meta.k8s.io") for version in ("v1", "v1beta1"))


def aggregated_form(version: str) -> Form:
    """Aggregated discovery in one version of its format."""
    return Form("APIGroupDiscoveryList", version, "apidiscovery.k8s.io")


def negotiate(accept: str, offered: Collection[Form]) -> Form | None:
    """The first form that the client accepts and the server offers.

    Args:
        accept: The header; empty means anything.
        offered: Besides plain JSON, which is always offered.

    Returns:
        None where nothing fits (406).
    """
    if not accept.strip():
        return PLAIN
    clauses = [_parse(clause) for clause in accept.split(",")]
    # stable: of equal quality, the first named wins
    for media_type, form, quality in sorted(clauses, key=lambda clause: -clause[2]):
        if quality <= 0 or media_type not in {PLAIN_JSON, "application/*", "*/*"}:
            continue
        if form == PLAIN or form in offered:
            return form
    return None


def accepts_json(accept: str) -> bool:
    """Whether plain or converted JSON is among what the client accepts."""
    types = {_parse(clause)[0] for clause in accept.split(",")}
    return not accept.strip() or not types.isdisjoint({PLAIN_JSON, "application/*", "*/*"})


def _parse(clause: str) -> tuple[str, Form, float]:
    media_type, *parameters = (part.strip() for part in clause.split(";"))
    found = dict(part.partition("=")[::2] for part in parameters)
    values = {key.strip().lower(): value.strip().strip('"') for key, value in found.items()}
    form = Form(values.get("as", ""), values.get("v", ""), values.get("g", ""))
    return media_type.lower(), form, _quality(values.get("q", "1"))


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 1.0
