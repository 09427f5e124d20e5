"""Nothing is slow: a fast disk, a fast server, an idle machine."""

from collections.abc import Iterator
from contextlib import contextmanager

from kubelag.lab.faults.contract import Fault, LabParts, Scene
from kubelag.lab.faults.stage import staged


class Nothing:
    """Whoever accuses something here is wrong."""

    id = "nothing"
    expected = ()

    def obstacle(self) -> str:
        """None: works everywhere."""
        return ""

    @contextmanager
    def inject(self, parts: LabParts) -> Iterator[Scene]:
        """Only a server and a home."""
        with staged(parts, self.id) as stage:
            control_plane = stage.start_control_plane()
            yield stage.get_nodes(
                parts.kubectl,
                stage.home(),
                control_plane.kubeconfig(),
                describe="Nothing was made slow.",
            )


FAULT: Fault = Nothing()
