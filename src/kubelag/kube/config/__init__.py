"""What a client takes from kubeconfig files, flags, environment and pod."""
