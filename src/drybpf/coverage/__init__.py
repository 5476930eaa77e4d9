"""Source coverage of eBPF programs: which lines ran, which branches went both ways.

data        counts by program: measuring, merging, files
analysis    from counts to source lines; `model` is what comes out
terminal, lcov, cobertura, html     reports
"""

from drybpf.coverage.analysis import source_files
from drybpf.coverage.cobertura import cobertura
from drybpf.coverage.data import Coverage, ProgramCoverage
from drybpf.coverage.html import html
from drybpf.coverage.lcov import lcov
from drybpf.coverage.model import SourceFile, Tally
from drybpf.coverage.terminal import report
from drybpf.errors import CoverageError

__all__ = [
    "Coverage",
    "CoverageError",
    "ProgramCoverage",
    "SourceFile",
    "Tally",
    "cobertura",
    "html",
    "lcov",
    "report",
    "source_files",
]
