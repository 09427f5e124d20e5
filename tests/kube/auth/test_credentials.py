"""Who a client is: headers and certificates, against real kubectl where there is one."""

import base64
import json
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubelag.errors import CredentialError, KubeconfigError
from kubelag.kube.auth.credentials import Credentials
from kubelag.kube.config.kubeconfig import Kubeconfig, choose_kubeconfig
from kubelag.kube.config.overrides import Overrides
from kubelag.kube.secret import Secret
from kubelag.lab.control_plane.certificates import Certificates, issue

PLANTED = "PLANTED5ecretValue"
V1 = "client.authentication.k8s.io/v1"
PEM = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
KEY = b"-----BEGIN PRIVATE KEY-----\nBBBB\n-----END PRIVATE KEY-----\n"


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now_s = 1_900_000_000.0

    def __call__(self) -> float:
        return self.now_s


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def config(
    tmp_path: Path, user: object, server: str = "https://h:6443", **overrides: Any
) -> Kubeconfig:
    cluster = {"server": server, "insecure-skip-tls-verify": True}
    document = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return choose_kubeconfig(Overrides(kubeconfig=str(path), **overrides), {})


def credentials(
    tmp_path: Path, user: object, server: str = "https://h:6443", **overrides: Any
) -> Credentials:
    chosen = config(tmp_path, user, server, **overrides)
    return Credentials(chosen.user, chosen.cluster, env={"PATH": "/usr/bin:/bin"}, clock=Clock())


def authorization(tmp_path: Path, user: object, **overrides: Any) -> str | None:
    return dict(credentials(tmp_path, user, **overrides).headers()).get("authorization")


def plugin(tmp_path: Path, *answers: object, **fields: object) -> dict[str, object]:
    """A user whose plugin gives one answer after the other, and the last one ever after."""
    for index, status in enumerate(answers):
        text = json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": status})
        (tmp_path / f"answer-{index}").write_text(text)
    script = tmp_path / "login"
    script.write_text(
        f"#!/bin/sh\ncd {tmp_path}\necho run >>runs\nn=$(($(wc -l <runs) - 1))\n"
        f'cat "answer-$n" 2>/dev/null || cat answer-{len(answers) - 1}\n'
    )
    script.chmod(0o755)
    return {"exec": {"command": str(script), "apiVersion": V1, **fields}}


def runs(tmp_path: Path) -> int:
    return len((tmp_path / "runs").read_text().splitlines())


def test_a_token_and_a_password_become_a_header(tmp_path: Path) -> None:
    assert authorization(tmp_path, {"token": "abc\n"}) == "Bearer abc"
    assert authorization(tmp_path, {"username": "jürgen", "password": "p:w"}) == (
        f"Basic {b64('jürgen:p:w'.encode())}"
    )
    assert credentials(tmp_path, {}).headers() == ()


def test_a_server_without_tls_learns_no_credential(tmp_path: Path) -> None:
    user = {"token": PLANTED, "as": "jane", "client-certificate-data": b64(PEM)}
    mine = credentials(tmp_path, user, "http://h")
    assert mine.headers() == (("impersonate-user", "jane"),)
    assert mine.certificate() is None
    assert not mine.refresh_after_401()


def test_what_is_given_comes_before_what_the_kubeconfig_says(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("from-file")
    both = {"token": "inline", "tokenFile": str(tmp_path / "file")}
    assert authorization(tmp_path, both) == "Bearer from-file"
    assert authorization(tmp_path, both, token=Secret("flag")) == "Bearer flag"
    assert authorization(tmp_path, plugin(tmp_path, {}), token=Secret("flag")) == "Bearer flag"
    assert authorization(tmp_path, {**both, "tokenFile": "/gone"}) == "Bearer inline"


def test_a_token_file_is_read_again_every_minute_and_may_be_gone_meanwhile(tmp_path: Path) -> None:
    file, clock = tmp_path / "file", Clock()
    file.write_text("one\n")
    chosen = config(tmp_path, {"tokenFile": str(file)})
    mine = Credentials(chosen.user, chosen.cluster, env={}, clock=clock)
    assert mine.headers() == (("authorization", "Bearer one"),)
    file.write_text("two\n")
    assert mine.headers() == (("authorization", "Bearer one"),)
    clock.now_s += 60
    assert mine.headers() == (("authorization", "Bearer two"),)
    file.unlink()
    clock.now_s += 60
    assert mine.headers() == (("authorization", "Bearer two"),)
    assert not mine.refresh_after_401()
    file.write_text("three\n")
    assert mine.refresh_after_401()
    assert mine.headers() == (("authorization", "Bearer three"),)
    assert not mine.refresh_after_401()


def test_the_service_account_of_a_pod_is_read_from_its_files(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("pod")
    (tmp_path / "ca.crt").write_bytes(PEM)
    (tmp_path / "namespace").write_text("shop")
    env = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    chosen = choose_kubeconfig(
        Overrides(as_user="jane"),
        {**env, "HOME": str(tmp_path)},
        service_account=str(tmp_path),
    )
    assert chosen.namespace == "shop"
    assert chosen.cluster.ca_file == str(tmp_path / "ca.crt")
    mine = Credentials(chosen.user, chosen.cluster, env={})
    assert mine.headers() == (("authorization", "Bearer pod"), ("impersonate-user", "jane"))


def test_impersonation_has_a_header_for_every_value(tmp_path: Path) -> None:
    user = {
        "as": "jane",
        "as-uid": "1",
        "as-groups": ["a", "b"],
        "as-user-extra": {"Sco/pes%": ["v", "w"]},
    }
    assert credentials(tmp_path, user).headers() == (
        ("impersonate-user", "jane"),
        ("impersonate-group", "a"),
        ("impersonate-group", "b"),
        ("impersonate-uid", "1"),
        ("impersonate-extra-sco%2fpes%25", "v"),
        ("impersonate-extra-sco%2fpes%25", "w"),
    )
    given = credentials(tmp_path, user, as_groups=("z",), as_user_extra=(("Sco/pes%", "x"),))
    assert given.headers()[1:] == (
        ("impersonate-group", "z"),
        ("impersonate-uid", "1"),
        ("impersonate-extra-sco%2fpes%25", "x"),
    )


@pytest.mark.parametrize(
    ("user", "told"),
    [
        ({"auth-provider": {"name": "gcp"}}, "auth-provider gcp"),
        ({"auth-provider": {"name": "oidc"}}, "kubectl oidc-login"),
        ({"token": PLANTED, "username": "u"}, "both a token and a username"),
        ({"token": PLANTED, "as-groups": ["a"]}, "of nobody"),
        ({"as": "a\nb"}, "cannot stand in a header"),
    ],
)
def test_a_user_that_contradicts_itself_is_refused(tmp_path: Path, user: object, told: str) -> None:
    with pytest.raises(KubeconfigError, match=told) as caught:
        credentials(tmp_path, user)
    assert PLANTED not in str(caught.value)
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("user", "told"),
    [
        ({"token": f"{PLANTED}\nx"}, "token of user 'u' holds characters"),
        ({"token": f"{PLANTED}ü"}, "token of user 'u' holds characters"),
        ({"tokenFile": "gone"}, "token file of user 'u' .*gone. cannot be read: no such file"),
        ({"tokenFile": "."}, "cannot be read: is a directory"),
        ({"tokenFile": "empty"}, "empty. is empty"),
        ({"tokenFile": "/dev/zero"}, "too large"),
        ({"client-certificate-data": b64(PEM)}, "a client certificate and no key"),
        (
            {"client-certificate-data": b64(PEM), "client-key-data": f"{PLANTED}="},
            "client-key-data of user 'u' is no base64",
        ),
        (
            {"client-certificate-data": b64(b"\x30\x82"), "client-key-data": b64(KEY)},
            "client-certificate-data of user 'u' holds no PEM",
        ),
        (
            {"client-certificate": "gone", "client-key-data": b64(KEY)},
            "client-certificate of user 'u' .*gone. cannot be read",
        ),
    ],
)
def test_a_credential_that_is_none_is_told_by_file_and_field(
    tmp_path: Path, user: object, told: str
) -> None:
    (tmp_path / "empty").write_text("\n")
    mine = credentials(tmp_path, user)
    with pytest.raises(CredentialError, match=told) as caught:
        (mine.headers(), mine.certificate())
    assert PLANTED not in str(caught.value)
    assert caught.value.next_step


def test_a_certificate_is_taken_from_data_before_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(KEY + b"\n\n")
    user = {"client-certificate-data": b64(PEM), "client-certificate": "gone", "client-key": "key"}
    mine = credentials(tmp_path, user)
    shown = mine.certificate()
    assert shown is not None
    assert (shown.certificate_pem, shown.key_pem.reveal()) == (PEM, KEY)
    assert "BBBB" not in repr(shown)
    assert mine.certificate() is shown
    assert credentials(tmp_path, {"client-key": "key"}).certificate() is None


def test_a_plugin_runs_once_and_again_before_its_credential_ends(tmp_path: Path) -> None:
    ends = {"expirationTimestamp": "2030-03-17T17:47:40.123456789Z"}
    user = plugin(tmp_path, {"token": "one", **ends}, {"token": "two"})
    chosen, clock = config(tmp_path, user), Clock()
    told: list[tuple[str, str]] = []

    def observe(name: str, began_ns: int, ended_ns: int, detail: str) -> None:
        assert 0 < began_ns < ended_ns
        told.append((name, detail))

    mine = Credentials(
        chosen.user, chosen.cluster, env={"PATH": "/bin"}, clock=clock, observe=observe
    )
    assert mine.headers() == (("authorization", "Bearer one"),)
    clock.now_s += 40
    assert mine.headers() == (("authorization", "Bearer one"),)
    assert mine.certificate() is None
    clock.now_s += 15
    assert mine.headers() == (("authorization", "Bearer two"),)
    clock.now_s += 1e9
    assert mine.headers() == (("authorization", "Bearer two"),)
    assert told == [("credential", "login")] * 2


def test_a_plugin_whose_credential_has_ended_already_is_not_run_at_every_request(
    tmp_path: Path,
) -> None:
    user = plugin(tmp_path, {"token": "old", "expirationTimestamp": "2001-01-01T00:00:00Z"})
    mine = credentials(tmp_path, user)
    assert [mine.headers() for _ in range(3)] == [(("authorization", "Bearer old"),)] * 3
    assert runs(tmp_path) == 1


def test_after_a_401_the_plugin_is_run_once_for_each_credential_it_gave(tmp_path: Path) -> None:
    mine = credentials(tmp_path, plugin(tmp_path, {"token": "one"}, {"token": "two"}))
    mine.headers()
    assert mine.refresh_after_401()
    assert mine.headers() == (("authorization", "Bearer two"),)
    assert not mine.refresh_after_401()
    assert not mine.refresh_after_401()
    assert runs(tmp_path) == 3


def test_threads_that_meet_a_401_together_run_the_plugin_once(tmp_path: Path) -> None:
    mine = credentials(tmp_path, plugin(tmp_path, {"token": "one"}, {"token": "two"}))
    all_have_it, found = threading.Barrier(4), list[bool]()

    def work() -> None:
        mine.headers()
        all_have_it.wait(30)
        found.append(mine.refresh_after_401())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 4
    assert runs(tmp_path) == 2


def test_a_plugin_may_hand_out_a_certificate(tmp_path: Path) -> None:
    status = {"clientCertificateData": PEM.decode(), "clientKeyData": KEY.decode()}
    mine = credentials(tmp_path, plugin(tmp_path, status))
    shown = mine.certificate()
    assert shown is not None
    assert (shown.certificate_pem, shown.key_pem.reveal()) == (PEM, KEY)
    assert mine.certificate() is shown
    assert mine.headers() == ()


def test_a_failing_plugin_is_observed_too(tmp_path: Path) -> None:
    chosen = config(tmp_path, {"exec": {"command": "/nowhere/login", "apiVersion": V1}})
    told: list[str] = []
    mine = Credentials(
        chosen.user, chosen.cluster, env={}, observe=lambda *phase: told.append(phase[0])
    )
    with pytest.raises(CredentialError, match="cannot be run"):
        mine.headers()
    assert told == ["credential"]


class Listener:
    """An API server that says yes to everything and keeps the headers that say who asks."""

    def __init__(self, certificates: Certificates) -> None:
        seen: list[dict[str, list[str]]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                headers: dict[str, list[str]] = {}
                for name, value in self.headers.items():
                    if name.lower().startswith(("authorization", "impersonate-")):
                        headers.setdefault(name.lower(), []).append(value)
                shown = self.connection.getpeercert(binary_form=True)
                seen.append({**headers, **({"certificate": ["yes"]} if shown else {})})
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.server_certificate, certificates.server_key)
        context.load_verify_locations(certificates.ca)
        context.verify_mode = ssl.CERT_OPTIONAL
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.seen = seen
        self.url = f"https://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    found = Listener(issue(tmp_path))
    thread = threading.Thread(target=found.server.serve_forever)
    thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()
    thread.join()


_USERS: list[tuple[dict[str, object], dict[str, Any]]] = [
    ({"token": "inline", "tokenFile": "file"}, {}),
    ({"tokenFile": "file"}, {}),
    ({"token": "inline", "tokenFile": "gone"}, {}),
    ({"token": "inline"}, {"token": Secret("flag")}),
    ({"username": "u", "password": "p"}, {"username": "v"}),
    ({"certificate": True}, {"token": Secret("flag")}),
    ({"certificate": True}, {}),
    ({"plugin": True}, {}),
    ({"plugin": True}, {"token": Secret("flag")}),
    ({"plugin": True, "username": "u", "password": "p"}, {}),
    (
        {"token": "t", "as": "jane", "as-groups": ["a", "b"], "as-user-extra": {"S/c%": ["v"]}},
        {"as_uid": "7"},
    ),
    ({"token": "t", "as": "jane", "as-groups": ["a"]}, {"as_user": "bob", "as_groups": ("z",)}),
]


@pytest.mark.real
@pytest.mark.parametrize(("user", "overrides"), _USERS)
def test_real_kubectl_says_the_same_of_itself(
    tmp_path: Path, listener: Listener, user: dict[str, object], overrides: dict[str, Any]
) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl on this machine to compare with")
    (tmp_path / "file").write_text(" from-file\n")
    user = dict(user)
    if user.pop("certificate", False):
        issued = Certificates.below(tmp_path)
        user["client-certificate-data"] = b64(issued.client_certificate.read_bytes())
        user["client-key"] = str(issued.client_key)
    if user.pop("plugin", False):
        user |= plugin(tmp_path, {"token": "from-plugin"}, interactiveMode="Never")
    mine = credentials(tmp_path, user, listener.url, **overrides)
    said: dict[str, list[str]] = {}
    for name, value in mine.headers():
        said.setdefault(name, []).append(value)
    if mine.certificate() is not None:
        said["certificate"] = ["yes"]
    env = {"HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "kubeconfig")}
    flags = [flag for name, value in overrides.items() for flag in _flags(name, value)]
    subprocess.run(
        [kubectl, "get", "--raw", "/x", *flags], env=env, check=True, capture_output=True
    )
    # Google's kubectl asks for the version first.
    assert listener.seen[-1] == said


def _flags(name: str, value: object) -> list[str]:
    flag = {"as_user": "--as", "as_groups": "--as-group"}.get(name, f"--{name.replace('_', '-')}")
    values = value if isinstance(value, tuple) else (value,)
    return [f"{flag}={one.reveal() if isinstance(one, Secret) else one}" for one in values]
