"""Troubles of one host's cable: loss, a narrow link, distance, frames that vanish, silence.

Each trouble is a small frozen object with `on()`, `off()` and `is_on()`, which ask the machine and
not their own memory: they may be called twice, and from another process. `see()` measures from
outside that it acts, and returns one sentence with the figures.
"""
