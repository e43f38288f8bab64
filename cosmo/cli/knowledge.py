"""``cosmo knowledge``: the graph that the log of intents amounts to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cosmo.cli.output import AsJson, print_json, print_table

if TYPE_CHECKING:
    from schemas.errors import Reason
    from schemas.records import Intent

app = typer.Typer(help="Count and export the knowledge graph.", no_args_is_help=True)


@app.command("stats")
def stats_command(as_json: AsJson = False) -> None:
    """Count nodes and edges, and edges by relation and by domain.

    An edge is one intent of one head; evidence are the behaviour pairs behind the edges.

    Examples: cosmo knowledge stats    cosmo knowledge stats --json | jq .edges_by_relation
    """
    from dataclasses import asdict

    from features.knowledge.graph import Graph

    graph = Graph()
    with _current() as (batches, unreadable):
        for intents in batches:
            graph.add(intents)
    counts = graph.counts()
    if as_json:
        print_json({**asdict(counts), "unreadable": unreadable()})
        return
    if not counts.edges:
        typer.echo("The graph is empty: no intent stands yet.")
        return
    nodes = ", ".join(f"{count:,} {kind.lower().replace('_', ' ')}" for kind, count in counts.nodes.items() if count)
    typer.echo(f"{sum(counts.nodes.values()):,} nodes: {nodes}")
    typer.echo(f"{counts.edges:,} edges, from {counts.evidence:,} pieces of evidence")
    for name, sizes in (("Relation", counts.edges_by_relation), ("Domain", counts.edges_by_domain)):
        print_table((name, "Edges"), [(key, f"{size:,}") for key, size in sizes.items()], right=("Edges",))


@app.command("export")
def export_command(
    file: Annotated[Path, typer.Argument(help="Its suffix decides: .parquet or .jsonl.")], as_json: AsJson = False
) -> None:
    """Write one row for each piece of evidence: head, relation, tail, scores, pair, template, model, times.

    Examples: cosmo knowledge export graph.parquet    cosmo knowledge export graph.jsonl
    """
    from features.knowledge import export

    rows = 0
    with export.opened(file) as sink, _current() as (batches, unreadable):
        for intents in batches:
            sink.write(intents)
            rows += len(intents)
    if as_json:
        print_json({"file": str(file), "rows": rows, "unreadable": unreadable()})
    else:
        typer.echo(f"{rows:,} rows are in {file}.")


@contextmanager
def _current() -> Iterator[tuple[Iterator[list[Intent]], Callable[[], int]]]:
    """The intents that stand, in batches, and how many records could not be read so far. At the end that number is told
    on stderr; CosmoError if nothing could be read, since that is no empty graph."""
    from contextlib import closing

    from cosmo.cli.progress import progress
    from cosmo.runtime.errors import CosmoError
    from cosmo.runtime.settings import settings
    from features.knowledge.current import current_intents
    from features.knowledge.log import IntentLog, intents_codec
    from schemas.registry import Registry

    read = unreadable = 0

    def failed(_: Reason) -> None:
        nonlocal unreadable
        unreadable += 1

    def counted() -> Iterator[list[Intent]]:
        nonlocal read
        for intents in current_intents(log, codec, passed, failed):
            read += len(intents)
            yield intents
        if unreadable and not read:
            raise CosmoError(
                f"None of the {unreadable:,} records of {log.topic} can be read; the log names them.",
                advice="Check that SCHEMA_REGISTRY_URL is the registry that they were written with.",
            )

    with (
        closing(Registry(settings())) as registry,
        IntentLog(settings()) as log,
        progress("reading the log twice") as passed,
    ):
        codec = intents_codec(registry)
        yield counted(), lambda: unreadable
    if unreadable:
        typer.echo(f"{unreadable:,} records could not be read and are left out; the log names them.", err=True)
