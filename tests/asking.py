"""Evidence of one request, for tests of what was in its way."""

from typing import Any

from evidence import MS, evidence, request
from kubelag.model.evidence import Evidence

NODES = "/api/v1/nodes?limit=500"


def asked(took_ns: int, **changes: Any) -> Evidence:
    """One request that took so long, and what was seen of its way."""
    return evidence(took_ns + 50 * MS, requests=(request(NODES, 0, took_ns),), **changes)
