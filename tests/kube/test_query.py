"""Paths and queries as they may be sent."""

import pytest

from kubelag.kube.query import encoded


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("/api/v1/nodes?limit=5&labelSelector=a%3Db", "/api/v1/nodes?limit=5&labelSelector=a%3Db"),
        ("/api/v1/nodes?labelSelector=a in (b)", "/api/v1/nodes?labelSelector=a%20in%20(b)"),
        ("/ä\n", "/%C3%A4%0A"),
    ],
)
def test_what_was_typed_is_sent_in_the_only_form_that_may_be(typed: str, sent: str) -> None:
    assert encoded(typed) == sent
