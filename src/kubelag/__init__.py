"""kubelag says why a Kubernetes command is slow on this machine, and proves it."""

__version__ = "0.1.0"
