"""The command `drybpf`: thin commands over the library.

Exit codes: 0 done, 1 refused or faulted, 2 usage, 3 unreadable input, 130 interrupted.
"""

from drybpf.cli.main import main

__all__ = ["main"]
