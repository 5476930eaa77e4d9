"""The compiler: checked and metered native code that leaves to the interpreter when it must."""
