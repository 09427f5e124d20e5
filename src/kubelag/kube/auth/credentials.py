"""Who a client is: the headers and the certificate that a kubeconfig's user stands for.

Rules from client-go `tools/clientcmd`, `transport` and `plugin/pkg/client/auth/exec`, checked
against real kubectl of 1.27 and 1.33:

- A server that is not asked over TLS gets no credential, only whom to impersonate.
- A token file is read again every minute, and the last good token stays while it is gone.
- A plugin runs when it is first needed, again shortly before its credential ends, and again when
  the server no longer takes the credential.
"""

import time
from _thread import allocate_lock, get_ident

from kubelag.errors import CredentialError, KubeconfigError
from kubelag.kube.auth.credential_files import (
    ClientCertificate,
    PemSource,
    RereadFile,
    checked_token,
)
from kubelag.kube.secret import Secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Protocol as Interface

    from kubelag.kube.config.kubeconfig import Cluster, User

    Headers = tuple[tuple[str, str], ...]
    Observe = Callable[[str, int, int, str], None]
    """Name (`credential`), begin and end by `time.perf_counter_ns`, the program's name."""

__all__ = ["ClientCertificate", "Credentials"]


class Credentials:
    """One user's credentials; may be used from several threads.

    Args:
        user: Whose.
        cluster: For whom; exec plugins may ask for it.
        env: The environment of exec plugins.
        clock: Seconds since the epoch.
        observe: Told of every run of a plugin.
        stdin_is_terminal: Whether a plugin may ask somebody at the terminal.

    Raises:
        KubeconfigError: If the user's entry contradicts itself, or wants what no client has.
    """

    def __init__(
        self,
        user: "User",
        cluster: "Cluster",
        *,
        env: "Mapping[str, str]",
        clock: "Callable[[], float]" = time.time,
        observe: "Observe | None" = None,
        stdin_is_terminal: bool = False,
    ) -> None:
        _refuse_contradictions(user)
        self._impersonation = _impersonation(user)
        self._lock = allocate_lock()
        self._handed: dict[int, object] = {}
        self._source: _Source
        if not cluster.server.lower().startswith("https:"):
            self._source = _Nothing()
        elif user.auth == "exec" and user.exec is not None:
            from kubelag.kube.auth.credential_plugin import PluginSource  # noqa: PLC0415 -- costs 6 ms

            self._source = PluginSource(
                user.exec,
                cluster,
                env=env,
                clock=clock,
                observe=observe,
                stdin_is_terminal=stdin_is_terminal,
            )
        else:
            self._source = _Static(user, clock)

    def headers(self) -> "Headers":
        """What every request carries; lower-case names. Runs the plugin where one is due.

        Raises:
            CredentialError: If a file cannot be read, a plugin fails, or a token is none.
        """
        with self._lock:
            authorization = self._source.authorization()
            self._handed[get_ident()] = self._source.state()
        said = (("authorization", authorization.reveal()),) if authorization else ()
        return (*said, *self._impersonation)

    def certificate(self) -> ClientCertificate | None:
        """What every connection shows; the same object until it changes.

        Raises:
            CredentialError: As `headers`.
        """
        with self._lock:
            certificate = self._source.certificate()
            self._handed[get_ident()] = self._source.state()
        return certificate

    def refresh_after_401(self) -> bool:
        """Whether there is another credential than the one that this thread was given last.

        Where another thread has renewed it meanwhile, nothing is run or read again.

        Raises:
            CredentialError: As `headers`.
        """
        with self._lock:
            state = self._source.state()
            return self._handed.get(get_ident(), state) != state or self._source.refresh()


if TYPE_CHECKING:

    class _Source(Interface):
        """Where credentials come from."""

        def authorization(self) -> Secret[str]:
            """The header's value; empty for none."""

        def certificate(self) -> ClientCertificate | None:
            """The client certificate, where there is one."""

        def state(self) -> object:
            """Something that is another after the credential was exchanged."""

        def refresh(self) -> bool:
            """Get a new credential; whether it differs from the old one."""


class _Nothing:
    """For servers that are asked in clear, which must not learn any credential."""

    def authorization(self) -> Secret[str]:
        return Secret("")

    def certificate(self) -> ClientCertificate | None:
        return None

    def state(self) -> object:
        return None

    def refresh(self) -> bool:
        return False


class _Static:
    """What stands in the kubeconfig, or in files that it names."""

    def __init__(self, user: "User", clock: "Callable[[], float]") -> None:
        self._user = user
        owner = f"user {user.name!r}" if user.name else "the user"
        self._owner = owner
        self._token_file = RereadFile(user.token_file, f"the token file of {owner}", clock)
        self._certificate = PemSource(
            data=Secret(user.certificate_data),
            file=RereadFile(user.certificate_file, f"client-certificate of {owner}", clock),
            field=f"client-certificate-data of {owner}",
        )
        self._key = PemSource(
            data=user.key_data,
            file=RereadFile(user.key_file, f"client-key of {owner}", clock),
            field=f"client-key-data of {owner}",
        )
        files = (self._token_file, self._certificate.file, self._key.file)
        self._files = [file for file in files if file]
        self._shown: ClientCertificate | None = None

    def authorization(self) -> Secret[str]:
        user = self._user
        if user.token_file:
            return Secret(f"Bearer {self._token()}")
        if user.token:
            return Secret(f"Bearer {checked_token(user.token.reveal(), self._owner)}")
        return Secret(_basic(user)) if user.username else Secret("")

    def _token(self) -> str:
        """The file's; the one beside it stands in while the file cannot be read."""
        try:
            content = self._token_file.content()
        except CredentialError:
            if not self._user.token:
                raise
            return checked_token(self._user.token.reveal(), self._owner)
        return checked_token(content.decode("latin-1"), self._user.token_file)

    def certificate(self) -> ClientCertificate | None:
        if not self._certificate:
            return None
        if not self._key:
            raise CredentialError(
                f"{self._owner} has a client certificate and no key",
                "add client-key or client-key-data to the kubeconfig's user",
            )
        certificate, key = self._certificate.pem(), self._key.pem()
        shown = self._shown
        if shown is None or (shown.certificate_pem, shown.key_pem.reveal()) != (certificate, key):
            self._shown = ClientCertificate(
                certificate_pem=certificate, key_pem=Secret(key), origin=self._owner
            )
        return self._shown

    def state(self) -> object:
        return [file.state() for file in self._files]

    def refresh(self) -> bool:
        # All of them are read, so that a certificate goes with its key.
        return sum(file.is_changed() for file in self._files) > 0


def _impersonation(user: "User") -> "Headers":
    if not user.as_user:
        return ()
    from kubelag.kube.auth.impersonation import impersonation_headers  # noqa: PLC0415 -- few need it

    return impersonation_headers(user)


def _basic(user: "User") -> str:
    from binascii import b2a_base64  # noqa: PLC0415 -- few have a password

    pair = f"{user.username}:{user.password.reveal()}".encode(errors="replace")
    return f"Basic {b2a_base64(pair, newline=False).decode()}"


def _refuse_contradictions(user: "User") -> None:
    """What client-go's `validateAuthInfo` refuses too."""
    owner = f"user {user.name!r}"
    if user.auth == "auth_provider":
        raise KubeconfigError(
            f"{owner} logs in by auth-provider {user.auth_provider}, which kubelag has not",
            _PROVIDER_STEPS.get(user.auth_provider, "give the user an exec plugin instead"),
        )
    if (user.token or user.token_file) and user.username:
        raise KubeconfigError(
            f"{owner} has both a token and a username, and only one of them can be used",
            "take one of them out",
        )
    if (user.as_groups or user.as_uid or user.as_extra) and not user.as_user:
        raise KubeconfigError(
            f"{owner} is to act with the groups, uid or extra fields of nobody",
            "name whom to impersonate too, with as or --as",
        )


# The first two went with Kubernetes 1.26.
_PROVIDER_STEPS = {
    "gcp": "kubectl has not had it since 1.26 either: install gke-gcloud-auth-plugin and run "
    "gcloud container clusters get-credentials",
    "azure": "kubectl has not had it since 1.26 either: install kubelogin and run "
    "kubelogin convert-kubeconfig",
    "oidc": "give the user the exec plugin kubelogin (kubectl oidc-login) instead",
}
