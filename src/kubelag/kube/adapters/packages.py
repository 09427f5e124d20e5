"""What the adapters say where the package that they adapt is missing or has changed."""

from kubelag.errors import KubelagError


class MissingPackageError(KubelagError, ImportError):
    """The package that is to be adapted cannot be imported."""

    def __init__(self, package: str, error: ImportError) -> None:
        super().__init__(
            f"this adapter needs the package {package}, which cannot be imported ({error})",
            "install it in the same environment",
        )


class ChangedPackageError(KubelagError):
    """The package that is to be adapted is not what the adapter knows."""
