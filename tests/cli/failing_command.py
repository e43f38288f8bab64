"""A command that fails in every way a command can."""

from __future__ import annotations

import typer

from cosmo.runtime.errors import CosmoError

app = typer.Typer()


@app.callback()
def _group() -> None: ...


@app.command()
def expected() -> None:
    raise CosmoError("The broker is away.", advice="Start it with `cosmo stack up`.")


@app.command()
def unexpected() -> None:
    raise ZeroDivisionError("division by zero")


@app.command()
def interrupted() -> None:
    raise KeyboardInterrupt
