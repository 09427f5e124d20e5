"""What the rest of kubelag talks about: frozen dataclasses and nothing that runs."""
