"""One file per fault, each a known workload with the cause that it must show."""
