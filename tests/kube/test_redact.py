"""No planted secret survives, wherever it was planted."""

import json
import pickle
from dataclasses import asdict, dataclass

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelag.kube.redact import outline_argv, redact_argv, redact_text
from kubelag.kube.secret import Secret

PLANTED = "PLANTED5ecretValue"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJQTEFOVEVEIn0.c2lnbmF0dXJl"
_ALPHABET = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
SECRETS = st.text(_ALPHABET, min_size=12, max_size=40).map(lambda text: "Zq9" + text)


@pytest.mark.parametrize(
    "argv",
    [
        ["kubectl", "--token", PLANTED, "get", "nodes"],
        ["kubectl", f"--token={PLANTED}", "get", "nodes"],
        ["kubectl", "--password", PLANTED, "get", "nodes"],
        ["curl", "-H", f"Authorization: Bearer {PLANTED}", "https://a"],
        ["kubectl", "-s", f"https://admin:{PLANTED}@10.0.0.1:6443", "get", "nodes"],
        ["kubectl", "create", "secret", "generic", "a", f"--from-literal=key={PLANTED}"],
        ["env", f"DB_PASSWORD={PLANTED}", "kubectl", "get", "nodes"],
    ],
)
def test_a_command_line_loses_its_secret_and_keeps_its_length(argv: list[str]) -> None:
    redacted = redact_argv(argv)
    assert PLANTED not in " ".join(redacted)
    assert len(redacted) == len(argv)


def test_an_ordinary_command_line_stays_as_it_is() -> None:
    argv = ("kubectl", "-n", "a", "get", "secrets", "-o", "json", "--server=https://10.0.0.1:6443")
    assert redact_argv(argv) == argv


@pytest.mark.parametrize(
    "text",
    [
        f"token: {JWT}",
        f"unexpected {JWT} in answer",
        f"login with sha256~{PLANTED} failed",
        f"-----BEGIN PRIVATE KEY-----\n{PLANTED}\n-----END PRIVATE KEY-----",
        f"-----BEGIN CERTIFICATE-----\n{PLANTED}",
        f'{{"kind":"Secret","data":{{"password":"{PLANTED}"}}}}',
        f'"{{\\"kind\\":\\"Secret\\",\\"data\\":{{\\"a\\":\\"{PLANTED}\\"}}}}"',
        f"kind: Secret\ndata:\n  a: {PLANTED}\n  b: {PLANTED}\nmetadata: {{}}\n",
        f"client_secret={PLANTED}&x=1",
        f"password='{PLANTED}'",
        f'{{"accessToken":"a,b {PLANTED}"}}',
        f"Get https://u:{PLANTED}@h/api: refused",
        f"request has Authorization: Basic {PLANTED}",
        f"access_token: {PLANTED}",
        "id " + "QUJD" * 20 + "==",
        f"ya29.{PLANTED}",
    ],
)
def test_text_loses_its_secret(text: str) -> None:
    redacted = redact_text(text)
    assert PLANTED not in redacted
    assert JWT not in redacted
    assert "QUJDQUJD" not in redacted


@pytest.mark.parametrize(
    "text",
    [
        "GET https://10.0.0.1:6443/apis/apps/v1?timeout=32s",
        "/root/.kube/cache/http/0913300b70ab500dd1b195e64e15d78a61bde3e2b7d3edbfc8840fc99fd8796e",
        'Error from server (NotFound): secrets "tls" not found',
        "dial tcp 10.0.0.1:6443: connect: connection refused",
        "/home/someone/averylongdirectoryname/withoutanydots/anddashes/kube/cache/discovery/host",
    ],
)
def test_what_holds_no_secret_stays_as_it_is(text: str) -> None:
    assert redact_text(text) == text


@given(
    secret=SECRETS,
    template=st.sampled_from(
        [
            "token={}",
            "Bearer {}",
            '"token": "{}"',
            "password: {}",
            "://me:{}@host/",
            "Authorization: Basic {}",
            "API_KEY={}",
            '"data": {{"k": "{}"}}',
            "sha256~{}",
        ]
    ),
    before=st.text(max_size=20),
    after=st.text(max_size=20),
)
def test_a_planted_secret_never_comes_through(
    secret: str, template: str, before: str, after: str
) -> None:
    text = f"{before} {template.format(secret)} {after}"
    assert secret not in redact_text(text)
    assert secret not in " ".join(redact_argv(["kubectl", text]))


@given(st.text(max_size=200) | st.text('token=:"{} dat\nBearer/@eyJ.-', max_size=120))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once


@dataclass(frozen=True)
class _Holder:
    credential: Secret[str]


def test_a_secret_is_in_no_repr_and_cannot_be_written_anywhere() -> None:
    holder = _Holder(Secret(PLANTED))
    assert PLANTED not in f"{holder!r} {holder.credential}"
    assert holder.credential.reveal() == PLANTED
    for write in (pickle.dumps, msgspec.json.encode, json.dumps, asdict):
        with pytest.raises(TypeError):
            write(holder)


@pytest.mark.parametrize(
    ("argv", "is_kubectl", "outline"),
    [
        ("kubectl delete pod x -n y", True, "kubectl delete pod x -n y"),
        (
            "kubectl set env deploy/a DB_PASS=hunter2 --env=K=v",
            True,
            "kubectl set env deploy/a DB_PASS=REDACTED --env=REDACTED",
        ),
        ("helm install a --set pw=hunter2", False, "helm install REDACTED --set REDACTED"),
        ("mysql -phunter2 -e x", False, "mysql -pREDACTED -e REDACTED"),
        ("curl -u user:pass http://x", False, "curl -u REDACTED REDACTED"),
    ],
)
def test_a_command_that_may_carry_data_is_only_outlined(
    argv: str, is_kubectl: bool, outline: str
) -> None:
    assert " ".join(outline_argv(argv.split(), is_kubectl=is_kubectl)) == outline
