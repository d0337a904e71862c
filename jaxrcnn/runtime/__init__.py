"""How a program sets up its process, and what it knows about the machine and tells XLA.

    process      everything that train.py and the commands set for their whole process
    allocator    freed memory: kept for the next step, or returned to the system
    compilation  jax's persistent cache of compiled programs
    executables  programs of a finished detector, kept without being traced again
    machine      cores and processor
    xla          compiler options, and a wrapper that keeps XLA's CPU backend from recomputing

Importing any of these changes nothing. `process` is for programs; the package itself uses only
`executables`, `machine` and `xla`.
"""
