"""Which server's cache, where, and for whom. Pure."""

from kubelag.kube.cache.layout import DISCOVERY
from kubelag.kube.record import Record


class Place(Record):
    """One server's part of a cache, and who looks at it when."""

    root: str
    """Of the whole cache, absolute."""
    relative: str
    """The server's directory, below `discovery/`; empty where its URL gives none."""
    server: str
    uid: int
    """Whose files are believed, and whose directories are written to."""

    @property
    def path(self) -> str:
        """The server's directory."""
        return f"{self.root}/{DISCOVERY}/{self.relative}"
