"""The only collectors of evidence, one file per observer."""
