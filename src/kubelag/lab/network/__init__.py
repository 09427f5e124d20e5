"""The lab's network: hosts as network namespaces, the wires between them, and what serves there."""
