"""The ``cosmo`` program: which commands there are, and how any of them fails.

A failure is one sentence on standard error and exit code 1 (``--debug``, anywhere on the line, shows the traceback);
wrong usage exits 2, Ctrl-C 130. Only the module of the command that was named is imported: ``cosmo --help`` is quick.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from cosmo.cli import mounts
from cosmo.runtime.errors import CosmoError

if TYPE_CHECKING:  # reading the settings takes longer than all of `cosmo --help`
    from cosmo.runtime.settings import Settings

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one command line and exit with its code."""
    given = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in given
    arguments = [argument for argument in given if argument != "--debug"]
    try:
        typer.main.get_command(program(arguments)).main(arguments, prog_name="cosmo")
    except SystemExit as end:
        if end.code == INTERRUPTED:
            typer.echo("Interrupted.", err=True)
        raise
    except Exception as error:  # the last frame: whatever it is, a person must read a sentence
        if debug:
            raise
        _say(error)
        raise SystemExit(1) from None
    raise SystemExit(0)


def program(arguments: Sequence[str]) -> typer.Typer:
    """The program with the command that ``arguments`` name; the others are there by name and one line of help only."""
    app = typer.Typer(
        name="cosmo",
        help="Learns from the clickstream, within seconds, why shoppers buy what they buy.",
        epilog="Begin with `cosmo demo`; then `cosmo lookup query milk`, `cosmo lag` and `cosmo dlq list`.",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    named = next((argument for argument in arguments if not argument.startswith("-")), None)
    completing = "_COSMO_COMPLETE" in os.environ
    for mount in mounts.COMMANDS:
        if completing or mount.name == named:
            mounts.attach(app, mount)
        else:
            mounts.announce(app, mount)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cosmo {version('cosmo-streams')}")
        raise typer.Exit


def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")] = False,
) -> None:
    from cosmo.runtime import logs

    logs.configure(_settings())


def _settings() -> Settings:
    """The settings, or a sentence that names the variables that cannot be used; never their values (secrets)."""
    from pydantic import ValidationError

    from cosmo.runtime.documents import variable
    from cosmo.runtime.settings import settings

    try:
        return settings()
    except ValidationError as error:
        own = [problem for problem in error.errors() if problem["type"] != "default_factory_not_called"]
        problems = "; ".join(f"{variable(str(problem['loc'][0]))}: {problem['msg']}" for problem in own)
        raise CosmoError(f"A setting cannot be used. {problems}.", advice="See docs/settings.md.") from error


def _say(error: Exception) -> None:
    expected = isinstance(error, CosmoError)
    what = error.what if isinstance(error, CosmoError) else f"Unexpected {type(error).__name__}: {error}"
    advice = error.advice if isinstance(error, CosmoError) else "This is a defect; --debug shows where it happened."
    typer.secho(what, fg=typer.colors.RED, bold=not expected, err=True)
    if advice:
        typer.echo(advice, err=True)
