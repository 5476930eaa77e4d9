"""The options that several commands have."""

from __future__ import annotations

import click

ENGINES = (
    "auto",
    "jit",
    "interpreter",
    "kernel",
)  # those of drybpf.engine, which would load much: a test

engine_option = click.option(
    "--engine", type=click.Choice(ENGINES), default="auto", show_default=True, help="What runs it."
)
counting_engine_option = click.option(
    "--engine",
    type=click.Choice(ENGINES[:-1]),  # the kernel does not tell which instructions ran
    default="auto",
    show_default=True,
    help="What runs it.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, errors too.")
memory_option = click.option(
    "--mem", help="The memory or packet to run on: a file, else hexadecimal."
)
program_option = click.option("--program", "name", help="Which program of an object.")
