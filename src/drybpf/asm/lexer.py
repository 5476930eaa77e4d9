"""Tokens of both dialects: one regular expression without backtracking, and what a token is.

The templates of the instruction table are cut by the same lexer as the user's text.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"""
      (?: [#;] | // ) [^\n]*+                   # a comment gives an empty token
    | /\* (?: (?! \*/ ) [^\n] )*+ (?: \*/ )?      # so does one within a line, or at its end
    | ( [+-] [ \t]*+ [0-9] [0-9A-Za-z_]*+       # a number with its sign
      | [0-9] [0-9A-Za-z_]*+
      | \{ [a-z0-9_:]++ \}                      # an operand of a template
      | s (?: >>= | [<>]=? | [/%]= )            # LLVM's signed operators
      | %? [A-Za-z_.$@] [0-9A-Za-z_.$@]*+       # a word, a label or a register
      | << = | >> = | [-+*/|&^%=!<>] =          # operators
      | [^ \t\r\f\v\n]                          # anything else, one character
      )
    """,
    re.VERBOSE,
)

# Names of the classes of tokens.  No token begins with a blank, so none is mistaken for a class.
REGISTER = " a register r0 to r15"
HALF_REGISTER = " a half register w0 to w15"
NUMBER = " a number"
SIGNED = " a signed number"
NAME = " a label"

_REGISTER_CLASSES = {
    f"{prefix}{letter}{number}": (kind, number)
    for letter, kind in (("r", REGISTER), ("w", HALF_REGISTER))
    for prefix in ("", "%")
    for number in range(16)
}
_DIGITS = frozenset("0123456789")
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.$@")


def tokenize(text: str) -> list[str]:
    """Cut text into tokens; blanks and comments fall away.  Takes linear time."""
    tokens: list[str] = _TOKEN.findall(text)
    return [token for token in tokens if token] if "" in tokens else tokens


def position(text: str, index: int) -> int:
    """Where the token with that index begins; with -1, where the last token ends."""
    end = 0
    for match in _TOKEN.finditer(text):
        if match[1]:
            if index == 0:
                return match.start()
            index -= 1
            end = match.end()
    return end


def classify(token: str) -> str:
    """Say which class a token belongs to; empty where it can be no operand, as the empty token."""
    known = _REGISTER_CLASSES.get(token)
    if known:
        return known[0]
    first = token[:1]
    if first in _DIGITS:
        return NUMBER
    if first in ("+", "-") and token[-1] not in "+-=":
        return SIGNED
    return NAME if first in _LETTERS and not looks_like_register(token) else ""


def looks_like_register(token: str) -> bool:
    """Whether the token is a register's name, of a register that exists or not."""
    bare = token.removeprefix("%")
    return bare[:1] in ("r", "w") and bool(bare[1:]) and _DIGITS.issuperset(bare[1:])


def register_number(token: str) -> int:
    """Give the number of a token of a register class."""
    return _REGISTER_CLASSES[token][1]


def read_number(token: str, low: int, high: int, bits: int) -> int:
    """Read a number token; hexadecimal without a minus may be a pattern of that many bits.

    Raises `ValueError` with the reason.
    """
    negative = token[0] == "-"
    digits = token.lstrip("+- \t")
    hexadecimal = digits[:2] in ("0x", "0X")
    digits = digits[2:] if hexadecimal else digits
    if not digits or not (_HEX_DIGITS if hexadecimal else _DIGITS).issuperset(digits):
        message = f"{shorten(token)!r} is not a number"
        raise ValueError(message)
    digits = digits.lstrip("0") or "0"
    # Longer than any 64-bit number is out of range unseen: int() refuses thousands of digits.
    value = int(digits, 16 if hexadecimal else 10) if len(digits) <= 20 else 1 << 100
    if hexadecimal and not negative and high < value < 1 << bits:
        return value - (1 << bits)
    value = -value if negative else value
    if not low <= value <= high:
        message = f"{shorten(token)} is out of the range of {bits} bits ({low} to {high})"
        raise ValueError(message)
    return value


def shorten(text: str) -> str:
    """Cut a long text for a message."""
    return text if len(text) <= 60 else text[:57] + "..."
