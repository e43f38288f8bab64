"""Every command of ``cosmo`` and the module that holds it.

A module offers ``app``, a ``typer.Typer``. With one command and no callback it is that command (``cosmo demo``);
otherwise it is a group (``cosmo dlq list``), so a group of one needs an ``@app.callback()``.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

import typer


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One command: its name, its module, and the line that ``cosmo --help`` shows without importing the module."""

    name: str
    module: str
    help: str


COMMANDS: tuple[Mount, ...] = (
    Mount(name="demo", module="cosmo.cli.demo", help="Run everything on this machine, with real baskets, and look."),
    Mount(name="simulate", module="cosmo.cli.simulate", help="Simulate searches over real baskets."),
    Mount(name="stack", module="cosmo.cli.stack", help="Start, stop or inspect the local stack."),
    Mount(name="topics", module="cosmo.cli.topics", help="List the topics of the stream, or create them."),
    Mount(name="schemas", module="cosmo.cli.schemas", help="Check and register the Avro schemas."),
    Mount(name="produce", module="cosmo.cli.produce", help="Send events from files; say which were refused and why."),
    Mount(name="worker", module="cosmo.cli.worker", help="Run ingest, sample, infer, materialize, or all of them."),
    Mount(name="lookup", module="cosmo.cli.lookup", help="Read the intents of a query or a product, or serve them."),
    Mount(name="features", module="cosmo.cli.features", help="Apply the feature repository; rebuild from the log."),
    Mount(name="knowledge", module="cosmo.cli.knowledge", help="Count and export the knowledge graph."),
    Mount(name="dlq", module="cosmo.cli.dlq", help="List, show and replay dead letters."),
    Mount(name="lag", module="cosmo.cli.lag", help="Show how far each group is behind, in records and in seconds."),
    Mount(name="docs", module="cosmo.cli.docs", help="Print the documents that are generated from the code."),
)


def attach(app: typer.Typer, mount: Mount) -> None:
    """Import the command and make it part of the program."""
    if find_spec(mount.module) is None:
        return
    sub: typer.Typer = import_module(mount.module).app
    if len(sub.registered_commands) == 1 and sub.registered_callback is None and not sub.registered_groups:
        command = sub.registered_commands[0]
        command.name = mount.name
        app.registered_commands.append(command)
    else:
        app.add_typer(sub, name=mount.name, help=mount.help)


def announce(app: typer.Typer, mount: Mount) -> None:
    """Let ``cosmo --help`` and the spelling suggestions know the command, without its module."""
    if find_spec(mount.module) is not None:
        app.command(mount.name, help=mount.help)(_elsewhere)


def _elsewhere() -> None:
    """Never runs: a command that the line names is attached, not announced."""
