"""What of other people's words may be shown."""

import pytest

from kubelag.kube.shown import without_user


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://bob:hunter2@api:6443/a@b", "https://api:6443/a@b"),
        ("api:6443", "api:6443"),
        ("http://[::1]:1", "http://[::1]:1"),
    ],
)
def test_a_password_in_a_url_is_not_told(url: str, shown: str) -> None:
    assert without_user(url) == shown
