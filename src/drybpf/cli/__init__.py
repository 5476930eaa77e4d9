"""The command `drybpf`: thin commands over the library.

Exit codes: 0 done, 1 refused or faulted, 2 usage, 3 unreadable input, 130 interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the result is the exit code."""
    # Not at the top: `drybpf-plugin`, started once a test, passes here and does not need click.
    from drybpf.cli import commands  # noqa: PLC0415

    return commands.main(arguments)
