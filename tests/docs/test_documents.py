"""The documents: every link leads somewhere, and every command line that they show is one that `cosmo` takes, whether
`test_examples` can run it or not."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from cosmo.cli.main import program
from tests.docs.examples import PAGES, ROOT, Block, blocks

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


def _command_lines(block: Block) -> list[str]:
    lines = (line.split("#")[0].strip() for line in str(block.example.parsed).splitlines())
    return [line for line in lines if line.startswith("cosmo ")]


SHOWN = [
    pytest.param(line, id=f"{block.place}: {line}")
    for block in blocks()
    for line in dict.fromkeys(_command_lines(block))
]


@pytest.mark.parametrize("document", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    links = [link for link in _LINK.findall(document.read_text("utf-8")) if "://" not in link]
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("line", SHOWN)
def test_every_command_shown_is_one_that_the_program_takes(line: str) -> None:
    """Parsed with the real options and never run: an unknown command, option or argument is a usage error."""
    name, *rest = shlex.split(re.split(" [|>&] ", line)[0])
    command = typer.main.get_command(program(rest))
    while hasattr(command, "commands"):
        name, *rest = rest
        command = command.commands[name]
    command.make_context(name, rest)


def test_the_documents_show_commands() -> None:
    assert len(SHOWN) > 5
