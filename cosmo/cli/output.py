"""What commands print: a table for people, or with ``--json`` one JSON document and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer

WIDTH_WITHOUT_TERMINAL = 200
"""In a pipe or a file nothing should be folded that ``grep`` looks for."""

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document to standard output.")]


def counted(count: int, noun: str) -> str:
    """``1 event``, ``2,000 events``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def print_json(document: Any) -> None:
    """``document`` holds only what JSON knows; floats are finite. Half surrogates, as in the name of a file that is no
    UTF-8, are escaped."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2)
    typer.echo(text.encode("utf-8", "backslashreplace").decode())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """A table whose last column wraps; cells are text, never markup. ``right`` names the columns of numbers."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=column != columns[-1])
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_WITHOUT_TERMINAL
    console.print(table)
