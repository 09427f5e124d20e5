"""A real place to be slow in: control plane, slow disk, clients, faults."""
