"""What maps do, once, in restricted Python: over the storage at address `m`, native or in CPython.

Errors are negative errno values as the kernel's maps return them, as unsigned 64-bit numbers.
Whatever the storage holds, nothing outside of it is touched: numbers of entries are checked against
the capacity, slots are masked, and loops have a bound.
"""
