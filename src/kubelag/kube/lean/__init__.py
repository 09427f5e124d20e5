"""The C cores of three standard modules without the Python around them, for a quick start.

`json`, `socket` and `ssl` with what they import (`re`, `enum`, `selectors`, …) take 20 ms to load,
which is twice the bare interpreter and a third of a whole `kubectl get nodes`. Their cores take 4.
One file for each; where a Python has no such core, or another one, the usual module does the work.
"""
