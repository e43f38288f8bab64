"""``cosmo docs``: the documents that the code writes about itself."""

from __future__ import annotations

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
