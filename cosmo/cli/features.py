"""``cosmo features``: the Feast repository, and the features when Redis has lost them."""

from __future__ import annotations

from typing import Annotated

import typer

from cosmo.cli.output import AsJson, print_json

app = typer.Typer(help="Apply the feature repository; rebuild the features from the log.", no_args_is_help=True)


@app.command("apply")
def apply_command(as_json: AsJson = False) -> None:
    """Write the Feast repository, register entities, views and services in it, and let readers in. May be run again.

    Readers are not let into a Redis that was emptied; that is for `cosmo features rebuild`.

    Feast's own commands work in the directory that it prints:

        cosmo features apply
        cd "$(cosmo features apply --json | jq -r .repository)" && feast feature-views list
    """
    import asyncio

    from cosmo.runtime.settings import settings
    from features import project
    from features.online import eviction
    from features.store import apply
    from features.views import SERVICES, VIEWS
    from features.whole import EMPTIED

    applied = asyncio.run(apply(settings()))
    warning = asyncio.run(eviction.warning(settings()))
    if as_json:
        print_json(
            {
                "repository": str(applied.directory),
                "project": project.project_name(settings()),
                "feature_views": [view.name for view in VIEWS],
                "feature_services": list(SERVICES),
                "whole": applied.whole,
                "warning": warning,
            }
        )
    else:
        typer.echo(f"Applied {len(VIEWS)} feature views and {len(SERVICES)} feature services in {applied.directory}.")
    if not applied.whole:
        typer.echo(f"Redis {EMPTIED}. Readers are not let in before.", err=True)
    if warning:
        typer.echo(warning, err=True)


@app.command("rebuild")
def rebuild_command(
    leave_out_unreadable: Annotated[
        bool, typer.Option("--leave-out-unreadable", help="Let readers in though parts of the log could not be read.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fill an emptied Redis from the log of intents, or write its damaged rows anew, while the stream goes on.

    If Redis was emptied, readers are answered with 503 until it is done. May be run at any time, and again after it was
    interrupted: what is there already is not written twice. Run it also after COSMO_FEATURES_TOP_K or
    COSMO_FEATURES_HALF_LIFE_S changed.

    It fails, and readers stay out, where a record cannot be read with the schema that the registry has by its id, or
    most records are unusable: serving what is left would pass for all that is known.

    Examples: cosmo features rebuild    cosmo features rebuild --json | jq .rows
    """
    import asyncio
    from contextlib import closing

    from cosmo.cli.progress import progress
    from cosmo.runtime.settings import settings
    from features.rebuild import rebuild
    from schemas.registry import Registry

    with closing(Registry(settings())) as registry, progress("reading the log twice") as passed:
        done = asyncio.run(rebuild(settings(), registry, passed, leave_out_unreadable=leave_out_unreadable))
    figures = {
        "records": done.records,
        "intents": done.intents,
        "retracted": done.retracted,
        "unusable": done.unusable,
        "undecodable": done.undecodable,
        "rows": len(done.rows),
        "damaged": len(done.damaged),
    }
    if as_json:
        print_json(figures)
    else:
        typer.echo(
            f"{done.intents:,} intents are in {len(done.rows):,} rows; {done.retracted:,} records were retracted."
        )
        if done.damaged:
            typer.echo(f"{len(done.damaged):,} rows could not be read and were written anew.")
        if done.unusable:
            typer.echo(f"{done.unusable:,} records could not be used; the log names them.", err=True)
