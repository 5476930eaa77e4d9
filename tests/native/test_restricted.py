"""Restricted Python: every construct on both sides, random functions, and what is refused."""

# ruff: noqa: E501 (in the table of constructs a function is a line)

from __future__ import annotations

import ctypes
import functools
import linecache
import random
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import count, product
from types import FunctionType
from typing import Any

import pytest

from drybpf.native.buffer import host_address
from drybpf.native.emit import compile_ir
from drybpf.native.link import Library, link
from drybpf.native.restricted import (
    Block,
    Function,
    RestrictedError,
    intrinsics,
    load8,
    load16,
    load32,
    load64,
    lower,
    restricted,
    store8,
    store16,
    store32,
    store64,
)

MASK = (1 << 64) - 1
EDGES = (0, 1, 2, 3, 7, 63, 64, 65, 255, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 63, MASK - 1, MASK)
FORBIDDEN = re.compile(r"\b(nsw|nuw|exact|inbounds|mustprogress|undef|poison|disjoint|nneg)\b")
_numbers = count()


def make(source: str, name: str = "f", **namespace: object) -> Function[...]:
    """The restricted function of a source text, which `inspect` finds as in a file."""
    file = f"<made {next(_numbers)}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    names: dict[str, object] = {**vars(intrinsics), "__name__": "made", **namespace}
    exec(compile(source, file, "exec"), names)  # noqa: S102 (sources of this file)
    function = names[name]
    if isinstance(function, FunctionType):
        return restricted(function)
    assert isinstance(function, Function)
    return function


def native(functions: Sequence[Function[...]]) -> tuple[Library, list[Callable[..., int]]]:
    """Compile some functions in one module; keep the library while they are called."""
    ir = lower(functions, external=True)
    assert not FORBIDDEN.search(ir)
    library = link([compile_ir(ir, verify=True)], [each.symbol for each in functions])
    calls: list[Callable[..., int]] = []
    for each in functions:
        types = [ctypes.c_uint64] * (len(each.definition.parameters) + 1)
        calls.append(ctypes.CFUNCTYPE(*types)(library.address(each.symbol)))
    return library, calls


# Every construct: a body over a and b, and its result where that is plain to see.
BODIES = {
    "add": "return a + b",
    "sub": "return a - b",
    "mul": "return a * b",
    "div": "return a // b",
    "mod": "return a % b",
    "and": "return a & b",
    "or": "return a | b",
    "xor": "return a ^ b",
    "shl": "return a << b",
    "shr": "return a >> b",
    "invert": "return ~a",
    "negate": "return -a",
    "constant": f"return {MASK} - 0x10 + True",
    "augmented": "a += b\na <<= 3\na //= 5\na ^= b\nreturn a",
    "eq": "return a == b",
    "ne": "return a != b",
    "lt": "return a < b",
    "le": "return a <= b",
    "gt": "return a > b",
    "ge": "return a >= b",
    "not": "return not a",
    "not not": "return not not a",
    "not compare": "return not a < b",
    "and value": "return a and b",
    "or value": "return a or b",
    "long and": "return a and b and 7",
    "mixed": "return a < b and b < 100 or not a and 5",
    "condition": "if a and not (b or a < 5):\n    return 1\nelif a or b == 3:\n    return 2\nreturn 3",
    "compare sum": "return (a < b) + (a == b) * 2",
    "nested if": "if a:\n    if b:\n        x = 1\n    else:\n        x = 2\nelse:\n    x = 3\nreturn x",
    "while": "n = 0\nwhile n < (a & 15):\n    b = b * 3 + n\n    n += 1\nreturn b",
    "while true": "n = a & 7\nwhile True:\n    if not n:\n        break\n    n -= 1\n    b += n\nreturn b",
    "continue": "n = 0\nwhile n < 10:\n    n += 1\n    if n & 1:\n        continue\n    a += n\nreturn a",
    "nested loops": "i = 0\nwhile i < 4:\n    j = 0\n    while 1:\n        if j == i:\n            break\n"
    "        a = a * 5 + j\n        j += 1\n    i += 1\nreturn a",
    "return in a loop": "while a:\n    if a == b:\n        return 9\n    a >>= 1\nreturn a",
    "after return": "return a\nreturn b",
    "no return": "a = b",
    "bare return": "if a:\n    return\nreturn 5",
    "unassigned": "if a > b:\n    x = a\nreturn x",
    "pass and docstring": "'''Text.'''\npass\nif a:\n    pass\nreturn b",
    "effects in order": "return step(a) - step(b) * step(a + b)",
    "global": "return a + WORD",
    "call": "return step(step(a)) and step(b)",
    "call for nothing": "step(a)\nreturn b",
    "with constants": "return scaled(a, FACTOR=3) + scaled(b, FACTOR=WORD) + scaled(a, FACTOR=3)",
    "skipped division": "return b and a // b or a % b",
}


@restricted
def step(value: int) -> int:
    return value * 2862933555777941757 + 3037000493


@restricted
def scaled(value: int, *, FACTOR: int) -> int:  # noqa: N803 (a constant)
    return value * FACTOR


def test_every_construct_on_every_edge() -> None:
    names = {"step": step, "scaled": scaled, "WORD": 0xABCD}
    functions = []
    for number, body in enumerate(BODIES.values()):
        lines = "".join(f"    {line}\n" for line in body.splitlines())
        functions.append(make(f"def f{number}(a, b):\n{lines}", f"f{number}", **names))
    library, calls = native(functions)
    memory = Block(b"")
    for name, function, call in zip(BODIES, functions, calls, strict=True):
        for a, b in product(EDGES, EDGES):
            result = function.python(memory, a, b)
            assert type(result) is int
            assert result == call(a, b), f"{name}: {a:#x}, {b:#x}"
    del library


@pytest.mark.parametrize(
    ("body", "a", "b", "result"),
    [
        ("return a + b", MASK, 2, 1),
        ("return a - b", 0, 1, MASK),
        ("return a // b", 7, 0, 0),
        ("return a % b", 7, 0, 7),
        ("return a << b", 1, 65, 2),
        ("return a >> b", 4, 64, 4),
        ("return -a", 1, 0, MASK),
        ("return ~a", 0, 0, MASK),
        ("return a > b", MASK, 0, 1),
        ("return a and b", 3, 5, 5),
        ("return a or b", 3, 5, 3),
        ("if a > b:\n        x = 1\n    return x", 0, 0, 0),
        ("a = b", 1, 1, 0),
    ],
)
def test_the_rules_where_python_and_the_machine_differ(
    body: str, a: int, b: int, result: int
) -> None:
    function = make(f"def f(a, b):\n    {body}\n")
    assert function.python(Block(b""), a, b) == result
    library, [call] = native([function])
    assert call(a, b) == result
    del library


def random_body(rng: random.Random) -> Iterator[str]:
    """Lines of a function of `memory`, a and b: assignments, loads, stores, branches, loops."""
    names = ["a", "b", "c", "d"]

    def value(depth: int) -> str:
        kind = rng.randrange(10 if depth else 3)
        if kind == 0:
            return str(rng.choice(EDGES))
        if kind in {1, 2}:
            return rng.choice(names)
        if kind == 3:
            return f"({rng.choice(('-', '~', 'not '))}({value(depth - 1)}))"
        if kind == 4:
            size = rng.choice((1, 2, 4, 8))
            return f"load{8 * size}(memory + ({value(depth - 1)} & {64 - size} & 63))"
        if kind == 5:
            sign = rng.choice(("<", "<=", "==", "!=", ">", ">="))
            return f"({value(depth - 1)} {sign} {value(depth - 1)})"
        if kind == 6:
            return f"({value(depth - 1)} {rng.choice(('and', 'or'))} {value(depth - 1)})"
        sign = rng.choice(("+", "-", "*", "//", "%", "&", "|", "^", "<<", ">>"))
        return f"({value(depth - 1)} {sign} {value(depth - 1)})"

    def block(depth: int, indent: str) -> Iterator[str]:
        for _ in range(rng.randrange(1, 5)):
            kind = rng.randrange(8 if depth else 4)
            if kind in {0, 1}:
                yield f"{indent}{rng.choice(names)} = {value(3)}"
            elif kind == 2:
                sign = rng.choice(("+", "-", "*", "^", ">>", "%"))
                yield f"{indent}{rng.choice(names)} {sign}= {value(2)}"
            elif kind == 3:
                size = rng.choice((1, 2, 4, 8))
                place = f"memory + ({value(2)} & {64 - size} & 63)"
                yield f"{indent}store{8 * size}({place}, {value(3)})"
            elif kind in {4, 5}:
                yield f"{indent}if {value(2)}:"
                yield from block(depth - 1, indent + "  ")
                yield f"{indent}else:"
                yield from block(depth - 1, indent + "  ")
            else:
                rounds = f"n{depth}"
                yield f"{indent}{rounds} = 0"
                yield f"{indent}while {rounds} < {rng.randrange(1, 5)} and {value(1)} != 3:"
                yield f"{indent}  {rounds} += 1"
                yield from block(depth - 1, indent + "  ")
                if rng.random() < 0.5:
                    yield f"{indent}  if {value(1)}:"
                    yield f"{indent}    {rng.choice(('break', 'continue', 'return d'))}"
        yield f"{indent}pass"

    yield "  if 0:\n    c = 0\n    d = 0"  # makes both local, and 0 to begin with
    yield from block(3, "  ")
    yield f"  return {value(3)}"


@pytest.mark.parametrize("seed", range(4))
def test_random_functions_agree_in_results_and_bytes(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 (repeatable by design)
    functions = []
    for number in range(40):
        lines = "\n".join(random_body(rng))
        functions.append(make(f"def f{number}(memory, a, b):\n{lines}\n", f"f{number}"))
    library, calls = native(functions)
    real = bytearray(64)
    address = host_address(memoryview(real))
    for function, call in zip(functions, calls, strict=True):
        for _ in range(8):
            image = rng.randbytes(64)
            a, b = rng.choice(EDGES), rng.getrandbits(64)
            real[:] = image
            result = call(address, a, b)
            shown = bytearray(image)
            assert function.python(Block(shown, address), address, a, b) == result
            assert shown == real
    del library


def test_loads_and_stores_of_every_size() -> None:
    @restricted
    def swap(at: int) -> int:
        store64(at + 8, load8(at) + load16(at + 1) + load32(at + 3))
        store32(at + 1, MASK)
        store16(at + 5, MASK + 0xBEF0)
        store8(at, 0x101)
        return load64(at)

    start = bytes(range(1, 17))
    shown, real = bytearray(start), bytearray(start)
    library, [call] = native([swap])
    result = swap.python(Block(shown), 0)
    assert result == 0x08BEEF_FFFFFFFF_01
    assert call(host_address(memoryview(real))) == result
    assert shown == real
    assert shown[8:] == (1 + 0x0302 + 0x07060504).to_bytes(8, "little")
    del library


@pytest.mark.parametrize(("address", "size"), [(0, 8), (1, 4), (MASK, 1), (4, 1), (1 << 70, 1)])
def test_memory_of_python_is_checked(address: int, size: int) -> None:
    block = Block(bytearray(4))
    with pytest.raises(IndexError, match=f"{size} bytes at {address:#x} are outside"):
        block.load(address, size)
    with pytest.raises(IndexError):
        block.store(address, size, 0)
    with pytest.raises(IndexError):
        Block(bytearray(4), 16).load(15, 1)


def test_ir_holds_every_function_once_those_called_first() -> None:
    source = "def f(a):\n    return g(a) + g(a + 1) + h(a) + s(a, FACTOR=2) + s(a, FACTOR=3)\n"
    h = make("def h(a):\n    return g(a)\n", "h", g=step)
    text = make(source, g=step, h=h, s=scaled).ir()
    names = re.findall(r"^define internal i64 @(\S+)\(", text, re.MULTILINE)
    here = re.sub(r"[^A-Za-z0-9_.]", "_", __name__)
    assert names == [
        f"{here}.step",
        "made.h",
        f"{here}.scaled.FACTOR2",
        f"{here}.scaled.FACTOR3",
        "made.f",
    ]


def test_linkage_and_inlining() -> None:
    assert step.ir().startswith("define internal i64 @")
    assert step.ir(external=True).startswith(f"define i64 @{step.symbol}(i64 %p.value) nounwind")
    assert "alwaysinline nounwind {" in step.ir(inline=True)
    outer = make("def f(a):\n    return g(a)\n", g=step)
    text = lower([outer], external=True)
    assert f"define internal i64 @{step.symbol}" in text
    assert "define i64 @made.f" in text


def test_shifts_are_masked_and_divisors_replaced_first() -> None:
    text = make("def f(a, b):\n    return (a << b) + (a >> b) + a // b + a % b\n").ir()
    for kind in ("shl", "lshr"):
        [amount] = re.findall(rf"= {kind} i64 %\w+, (%\w+)$", text, re.MULTILINE)
        assert re.search(rf"{amount} = and i64 %\w+, 63$", text, re.MULTILINE)
    for kind in ("udiv", "urem"):
        [divisor] = re.findall(rf"= {kind} i64 %\w+, (%\w+)$", text, re.MULTILINE)
        assert re.search(rf"{divisor} = select i1 %\w+, i64 1, i64 %\w+$", text, re.MULTILINE)


def test_constants_make_functions_of_their_own() -> None:
    double, triple = scaled.bind(FACTOR=2), scaled.bind(FACTOR=3)
    assert (double(7), triple(7), scaled(7, FACTOR=4)) == (14, 21, 28)
    assert double == scaled.bind(FACTOR=5).bind(FACTOR=2) != triple
    assert len({double, triple, scaled.bind(FACTOR=2)}) == 2
    assert repr(double) == f"<restricted {double.symbol}>"
    for value in (-1, 1 << 64):
        with pytest.raises(ValueError, match="is no unsigned 64-bit number"):
            scaled.bind(FACTOR=value)
    with pytest.raises(RestrictedError, match="the constants are FACTOR; bound are none"):
        scaled.ir()
    with pytest.raises(RestrictedError, match="the constants are none; bound are KEY"):
        step.bind(KEY=1).ir()


def test_closures_give_constants_and_functions() -> None:
    def build(word: int, inner: Function[[int]]) -> Function[[int]]:
        @restricted
        def outer(value: int) -> int:
            return inner(value) + word

        return outer

    assert build(5, step)(0) == 3037000498
    with pytest.raises(RestrictedError, match="two functions are called"):
        lower([build(5, step), build(6, step)])


def test_arguments_of_a_run() -> None:
    assert step(-1) == step(MASK)
    assert step(1 << 64) == step(0)
    with pytest.raises(TypeError, match="has 1 arguments"):
        step.python(Block(b""), 1, 2)
    with pytest.raises(TypeError):
        step.python(Block(b""), 1.5)  # type: ignore[arg-type]  # the mistake that is meant
    reader = make("def f(a):\n    return load8(a)\n")
    with pytest.raises(IndexError):
        reader(0)


@pytest.mark.parametrize("intrinsic", [load8, load16, load32, load64])
def test_loads_do_nothing_alone(intrinsic: Callable[[int], int]) -> None:
    with pytest.raises(TypeError, match=rf"{intrinsic.__name__}\(0x10\) works only inside"):
        intrinsic(16)


@pytest.mark.parametrize("intrinsic", [store8, store16, store32, store64])
def test_stores_do_nothing_alone(intrinsic: Callable[[int, int], None]) -> None:
    with pytest.raises(TypeError, match=rf"{intrinsic.__name__}\(0x10, 0x1\) works only inside"):
        intrinsic(16, 1)


REFUSED = [
    # what stands in the second line, and why it is refused
    ("for x in a: pass", "no For of this form"),
    ("while a: pass\n    else: pass", "no While of this form"),
    ("a, b = b, a", "no Assign of this form"),
    ("a = b = 1", "no Assign of this form"),
    ("a.x = 1", "no Assign of this form"),
    ("x: int = 1", "no AnnAssign of this form"),
    ("a[0] += 1", "no AugAssign of this form"),
    ("del a", "no Delete of this form"),
    ("a", "no Expr of this form"),
    ("raise ValueError", "no Raise of this form"),
    ("assert a", "no Assert of this form"),
    ("import os", "no Import of this form"),
    ("def g(): pass", "no FunctionDef of this form"),
    ("with a: pass", "no With of this form"),
    ("return a / b", "no operator Div"),
    ("return a ** b", "no operator Pow"),
    ("a @= b", "no operator MatMult"),
    ("return 1.5", "no Constant of this form"),
    ("return 'text'", "no Constant of this form"),
    ("return None", "no Constant of this form"),
    ("return +a", "no UnaryOp of this form"),
    ("return a < b < 3", "no Compare of this form"),
    ("return a in b", "no Compare of this form"),
    ("return a is b", "no Compare of this form"),
    ("return a if b else 1", "no IfExp of this form"),
    ("return (a := b)", "no NamedExpr of this form"),
    ("return [a]", "no List of this form"),
    ("return [x for x in a]", "no ListComp of this form"),
    ("return lambda: a", "no Lambda of this form"),
    ("return a[0]", "no Subscript of this form"),
    ("return module.word", "no Attribute of this form"),
    ("return f'{a}'", "no JoinedStr of this form"),
    ("yield a", "no Expr of this form"),
    (f"return {1 << 64}", "is no unsigned 64-bit number"),
    ("return BIG", "is no unsigned 64-bit number"),
    ("return NEGATIVE", "is no unsigned 64-bit number"),
    ("return TEXT", "TEXT is no integer"),
    ("return step", "step is no integer"),
    ("return nothing", "nothing is not defined"),
    ("return nothing(a)", "nothing is not defined"),
    ("return len(a)", "len is not defined"),
    ("return TEXT(a)", "TEXT is no restricted function"),
    ("return LIST(a)", "LIST is no restricted function"),
    ("return module.step(a)", "module.step is no restricted function"),
    ("return a(b)", "a is no restricted function"),
    ("step = 1\n    return step(a)", "step is no restricted function"),
    ("return step(a, b)", "step has 1 arguments"),
    ("return step(*a)", "no Starred of this form"),
    ("return load8(a, b)", "load8 has 1 arguments"),
    ("return load8(address=a)", "load8 has 1 arguments"),
    ("store8(a)", "store8 has 2 arguments"),
    ("return store8(a, b)", r"store8\(a, b\) has no value"),
    ("return scaled(a, FACTOR=b)", "FACTOR=b is no constant"),
    ("return scaled(a, FACTOR=-1)", "FACTOR=-1 is no constant"),
    ("return scaled(a, **b)", r"\*\*b is no constant"),
    ("\N{LATIN SMALL LETTER E WITH ACUTE} = 1", "only ASCII names"),
]


@pytest.mark.parametrize(("body", "reason"), REFUSED, ids=[body for body, _ in REFUSED])
def test_what_is_refused_names_file_and_line(body: str, reason: str) -> None:
    names: Any = {"BIG": 1 << 64, "NEGATIVE": -1, "TEXT": "", "LIST": []}
    function = make(f"def f(a, b):\n    {body}\n", step=step, scaled=scaled, **names)
    with pytest.raises(RestrictedError, match=reason) as caught:
        function.ir()
    line = 3 if "step(a)" in body and "\n" in body else 2
    assert re.match(rf"<made \d+>:{line}: f: ", str(caught.value))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def f(*a): pass", "only parameters without defaults"),
        ("def f(**a): pass", "only parameters without defaults"),
        ("def f(a=1): pass", "only parameters without defaults"),
        ("def f(*, A=1): pass", "only parameters without defaults"),
        ("async def f(a): pass", "only a plain `def`"),
        ("f = lambda a: a", "only a plain `def`"),
        ("f = [0,\n lambda a: a][1]", "is no function of its own"),
        ("def f(\N{LATIN SMALL LETTER E WITH ACUTE}): pass", "only ASCII names"),
    ],
)
def test_signatures_that_are_refused(source: str, reason: str) -> None:
    with pytest.raises(RestrictedError, match=reason):
        make(source).ir()


def test_positional_only_parameters_are_parameters() -> None:
    assert make("def f(a, /, b):\n    return a - b\n")(5, 2) == 3


def test_a_constant_is_neither_assigned_nor_called() -> None:
    with pytest.raises(RestrictedError, match="A is a constant"):
        make("def f(*, A):\n    A = 1\n").bind(A=1).ir()
    with pytest.raises(RestrictedError, match="A is no restricted function"):
        make("def f(*, A):\n    return A(1)\n").bind(A=1).ir()


def test_recursion_is_refused() -> None:
    even = make("def even(n):\n    return odd(n - 1)\n", "even")
    odd = make("def odd(n):\n    return even(n - 1)\n", "odd", even=even)
    even.source.__globals__["odd"] = odd
    with pytest.raises(RestrictedError, match=r"made\.even calls itself"):
        even.ir()
    with pytest.raises(RestrictedError, match="calls itself"):
        odd.python(Block(b""), 1)


def test_what_has_no_source() -> None:
    names: dict[str, FunctionType] = {}
    exec("def f(a): return a", names)  # noqa: S102 (that it has no file is the point)
    with pytest.raises(RestrictedError, match="the source of f cannot be found"):
        restricted(names["f"]).ir()


@pytest.mark.parametrize("thing", [len, functools.partial(step), int])
def test_only_functions_can_be_restricted(thing: Callable[..., int]) -> None:
    with pytest.raises(RestrictedError, match="is no plain function"):
        restricted(thing)


def test_an_empty_cell_is_not_defined() -> None:
    def build() -> Function[[int]]:
        @restricted
        def outer(value: int) -> int:
            return value + word

        outer.symbol  # noqa: B018 (used before `word` is)
        with pytest.raises(RestrictedError, match="word is not defined"):
            outer.ir()
        word = 5
        return outer

    assert build()(1) == 6
