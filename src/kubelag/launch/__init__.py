"""Starts a process with something taken away from it."""
