"""``cosmo docs``: the documents that the code writes about itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True)


@app.command("settings")
def settings_document() -> None:
    """Print docs/settings.md: every setting, its default and its reason.

    Example: cosmo docs settings > docs/settings.md
    """
    from cosmo.runtime.documents import settings_page

    typer.echo(settings_page(), nl=False)


@app.command("metrics")
def metrics_document() -> None:
    """Print docs/metrics.md: every metric, its unit, its labels and who exports it.

    Example: cosmo docs metrics > docs/metrics.md
    """
    from cosmo.runtime.documents import metrics_page

    typer.echo(metrics_page(), nl=False)


@app.command("producers")
def producers_document(page: Annotated[Path, typer.Argument(help="The page as it is.")]) -> None:
    """Print docs/producers.md with its tables of reasons, rules, repairs and actions as the code has them now.

    Example: cosmo docs producers docs/producers.md > new.md && mv new.md docs/producers.md
    """
    from cosmo.produce.guide import renewed

    typer.echo(renewed(page.read_text(encoding="utf-8")), nl=False)
