"""Machine code: LLVM IR in, callable code out.

It knows nothing about BPF, and LLVM is loaded by the first function that needs it.
"""
