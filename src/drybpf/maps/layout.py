"""The words of a map's header."""

LOOKUP, UPDATE, DELETE = 20, 21, 22
