"""Reads packet captures, takes one of its own, and compares two that were taken at both ends.

Packets are taken apart in batches with numpy, so that large files are read fast and in bounded
memory; only what is rare (handshakes, losses, long pauses) is looked at one by one.
"""
