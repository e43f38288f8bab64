"""The examples of the guides: every block of commands or Python in its page's order, and what it is shown to print.

`sh` and `python` blocks are run. A `text` block says what the block before it prints; `…` stands for anything, and
spaces count once. What cannot be run here has `<!-- skip: next "why" -->` in front of it, which no reader sees.

Sybil finds the blocks and the marks, and keeps one namespace for each page; it has shells, output and skipping with a
reason as a matter of course. pytest-examples and pytest-markdown-docs run Python only; mktestdocs knows shells, but
neither output to compare nor a reason for what it leaves out.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from io import StringIO
from pathlib import Path

import pytest
from sybil import Document, Example
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser, SkipParser
from sybil.region import Lexeme

ROOT = Path(__file__).parents[2]
FIRST = (ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in ("producers", "readers", "operations")))
"""In this order a stranger would read them; the others follow."""
PAGES = (*FIRST, *sorted(set((ROOT / "docs").rglob("*.md")) - set(FIRST)))

TERMINAL = "terminal"
"""Where blocks are run: the name in a page's namespace of a `tests.docs.terminal.Terminal`."""
_PRINTED = "printed"
_TOOLS = ("curl", "jq")
"""Readers have them or do without; a machine that lacks one still passes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One example of a page. ``skipped``: why it is not run; empty if it is."""

    page: str
    example: Example
    skipped: str = ""

    @property
    def place(self) -> str:
        return f"{self.page}:{self.example.line}"

    @property
    def first_line(self) -> str:
        return str(self.example.parsed).splitlines()[0].split("  #")[0].rstrip()


def blocks() -> Iterator[Block]:
    """Every example of every page."""
    for page in PAGES:
        why = ""
        for example in Document.parse(str(page), *_PARSERS):
            if isinstance(example.parsed, tuple):  # a mark: it says why the next one is skipped
                why = str(example.parsed[1]).strip('"')
                continue
            yield Block(page=str(page.relative_to(ROOT)), example=example, skipped=why)
            why = ""


def _in_shell(example: Example) -> None:
    script = str(example.parsed)
    lacking = [tool for tool in _TOOLS if tool in script.split() and shutil.which(tool) is None]
    if lacking:
        pytest.skip(f"{lacking[0]} is not installed")
    example.namespace[_PRINTED] = example.namespace[TERMINAL].run(script)


def _in_python(example: Example) -> None:
    shown = example.parsed
    example.parsed = Lexeme(example.namespace[TERMINAL].here(shown), shown.offset, shown.line_offset)
    with redirect_stdout(StringIO()) as printed:
        PythonEvaluator()(example)
    example.namespace[_PRINTED] = printed.getvalue()


def _prints(example: Example) -> str | None:
    """A complaint, if the block before did not print this."""
    shown, printed = (text.replace("…", "...") for text in (str(example.parsed), str(example.namespace[_PRINTED])))
    if OutputChecker().check_output(shown, printed, ELLIPSIS | NORMALIZE_WHITESPACE):
        return None
    return f"The page shows:\n\n{example.parsed}\nPrinted was:\n\n{example.namespace[_PRINTED]}"


_PARSERS = (
    SkipParser(),
    CodeBlockParser("sh", _in_shell),
    CodeBlockParser("python", _in_python),
    CodeBlockParser("text", _prints),
)
