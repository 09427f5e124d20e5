"""One file per remedy: plan, apply, verify, undo."""
