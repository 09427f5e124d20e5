"""Other Python clients fed from kubectl's discovery cache; one file for each, imported by itself.

The other packages are no dependencies of kubelag: importing an adapter imports its package, and
nothing else of kubelag does. `seeds` needs none of them to be running.
"""
