"""What commands print: a table for people, or with ``--json`` one JSON document and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

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


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = (), folding: Sequence[str] = ()
) -> None:
    """A table of which the columns in ``folding`` wrap, or the last one; cells are text, never markup. ``right`` names
    the columns of numbers. Columns that do not wrap are cut where there is no room for them."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    folds = folding or columns[-1:]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=column not in folds)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    _console().print(table)


def print_blocks(blocks: Iterable[Sequence[str]]) -> None:
    """Paragraphs for what has too many words for a table: of each block the first line, and the others below it,
    indented. Every line wraps; nothing is cut. Lines are text, never markup."""
    from rich.padding import Padding
    from rich.text import Text

    console = _console()
    for head, *below in blocks:
        console.print()
        console.print(Text(head))
        for line in below:
            console.print(Padding(Text(line), (0, 0, 0, 2), expand=False))


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_WITHOUT_TERMINAL
    return console
