"""One root error with an exit code; every message is one sentence with the next step in it."""


class KubelagError(Exception):
    """What a user is told; never shown as a traceback.

    Args:
        message: One sentence that names the file, field or host.
        next_step: What the user can do about it.
    """

    exit_code = 1

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message if not next_step else f"{message}; {next_step}")
        self.message = message
        self.next_step = next_step


class UsageError(KubelagError):
    """The command line asks for something that cannot be meant."""

    exit_code = 2


class CommandNotFoundError(KubelagError):
    """The command to explain does not exist (exit code as a shell's)."""

    exit_code = 127


class CommandNotExecutableError(KubelagError):
    """The command to explain exists and may not be run (exit code as a shell's)."""

    exit_code = 126


class KubeconfigError(KubelagError):
    """A kubeconfig is missing, unreadable, malformed, or points nowhere."""


class CredentialError(KubelagError):
    """A kubeconfig user's exec plugin failed, hung, or said something that is no credential."""


class TransportError(KubelagError):
    """The API server could not be asked: name, connection, TLS, time or protocol."""


class ApiError(KubelagError):
    """The API server answered, and its answer is a refusal.

    Args:
        message: One sentence that names the host.
        next_step: What the user can do about it.
        status: The HTTP status.
        reason: `reason` of its Status object, such as `NotFound`; empty where it sent none.
    """

    def __init__(self, message: str, next_step: str = "", *, status: int, reason: str = "") -> None:
        super().__init__(message, next_step)
        self.status = status
        self.reason = reason


class UnknownResourceError(KubelagError):
    """No resource of the server answers to this name."""


class BundleError(KubelagError):
    """A bundle is missing, damaged, or of a version that this kubelag does not read."""


class RefusedError(KubelagError):
    """Something was asked for that could change or repeat what must not be."""


class RemedyError(KubelagError):
    """A remedy could not be applied, verified or undone; nothing was left half done."""


class LabError(KubelagError):
    """The lab lacks a part, or a part did not come up."""


class CaptureError(KubelagError):
    """A packet capture cannot be read, or not taken."""
