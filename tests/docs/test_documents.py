"""The documents: every link leads somewhere, and every command line that they show is one that `cosmo` takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from cosmo.cli.main import program

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _command_lines(document: Path) -> list[str]:
    lines = (line.split("#")[0] for block in _BLOCK.findall(document.read_text("utf-8")) for line in block.splitlines())
    return [line.strip() for line in lines if line.strip().startswith("cosmo ")]


SHOWN = [
    pytest.param(line, id=f"{document.name}: {line}")
    for document in DOCUMENTS
    for line in dict.fromkeys(_command_lines(document))
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    links = [link for link in _LINK.findall(document.read_text("utf-8")) if "://" not in link]
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("line", SHOWN)
def test_every_command_shown_is_one_that_the_program_takes(line: str) -> None:
    """Parsed with the real options and never run: an unknown command, option or argument is a usage error."""
    name, *rest = shlex.split(re.split(" [|>] ", line)[0])
    command = typer.main.get_command(program(rest))
    while hasattr(command, "commands"):
        name, *rest = rest
        command = command.commands[name]
    command.make_context(name, rest)


def test_the_documents_show_commands() -> None:
    assert len(SHOWN) > 5
