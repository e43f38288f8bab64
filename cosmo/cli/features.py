"""``cosmo features``: the Feast repository, and the features when Redis has lost them."""

from __future__ import annotations

import typer

from cosmo.cli.output import AsJson, print_json

app = typer.Typer(help="Apply the feature repository; rebuild the features from the log.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command("apply")
def apply_command(as_json: AsJson = False) -> None:
    """Write the Feast repository, register entities, views and services in it, and mark Redis. May be run again.

    Feast's own commands work in the directory that it prints:

        cosmo features apply
        cd "$(cosmo features apply --json | jq -r .repository)" && feast feature-views list
    """
    import asyncio

    from cosmo.runtime.settings import settings
    from features import project
    from features.store import apply
    from features.views import SERVICES, VIEWS

    repository = asyncio.run(apply(settings()))
    if as_json:
        print_json(
            {
                "repository": str(repository),
                "project": project.project_name(settings()),
                "feature_views": [view.name for view in VIEWS],
                "feature_services": list(SERVICES),
            }
        )
    else:
        typer.echo(f"Applied {len(VIEWS)} feature views and {len(SERVICES)} feature services in {repository}.")
