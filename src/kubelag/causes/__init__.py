"""One file per cause: pure judgement over evidence and timeline."""
