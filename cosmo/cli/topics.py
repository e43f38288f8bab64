"""``cosmo topics``: what the stream needs of a Kafka cluster, and creating it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cosmo.cli.output import AsJson, print_json, print_table

app = typer.Typer(help="List the topics of the stream, or create them.", no_args_is_help=True)


@app.command("list")
def list_command(as_json: AsJson = False) -> None:
    """Every topic with its partitions, clean-up policy and largest record. No server is asked.

    cosmo topics list
    cosmo topics list --json    # for those who declare their topics elsewhere
    """
    from cosmo.runtime.settings import settings
    from streams.kafka.admin import new_topics

    rows = [_described(topic) for topic in new_topics(settings())]
    if as_json:
        print_json(rows)
        return
    columns = ("topic", "partitions", "replicas", "configuration")
    cells = [
        (
            row["topic"],
            str(row["partitions"]),
            str(row["replicas"]),
            " ".join(f"{k}={v}" for k, v in row["config"].items()),
        )
        for row in rows
    ]
    print_table(columns, cells, right=("partitions", "replicas"))


@app.command("create")
def create_command(
    partitions: Annotated[int | None, typer.Option(min=1, help="Instead of COSMO_TOPIC_PARTITIONS.")] = None,
    replicas: Annotated[int | None, typer.Option(min=1, help="Instead of COSMO_TOPIC_REPLICATION.")] = None,
    as_json: AsJson = False,
) -> None:
    """Create the topics that are missing; those that exist stay as they are. `cosmo stack up` does this too.

    cosmo topics create
    KAFKA_BOOTSTRAP_SERVERS=broker:9092 cosmo topics create --partitions 48 --replicas 3
    """
    from cosmo.runtime.settings import settings
    from streams.kafka.admin import create_topics

    given = {"topic_partitions": partitions, "topic_replication": replicas}
    changed = settings().model_copy(update={name: value for name, value in given.items() if value is not None})
    created = create_topics(changed)
    if as_json:
        print_json({"created": created})
    else:
        typer.echo(f"Created {', '.join(created)}." if created else "Every topic exists.")


@app.command("repartition")
def repartition_command(
    partitions: Annotated[
        int | None, typer.Option(min=1, help="Of pair-counts and sample-state; as many as there are, if not given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Move the sampler's state to where it belongs after partitions were added to pair-counts, or add them here.

    cosmo topics repartition --partitions 48    # with no sample worker running; run again after a kill
    """
    import asyncio

    from cosmo.runtime.settings import settings
    from streams.sampling.repartition import repartition

    moved = asyncio.run(repartition(settings(), partitions or 0))
    if as_json:
        print_json({"partitions": moved.partitions, "heads": sum(moved.heads.values()), "blocks": moved.blocks})
    else:
        typer.echo(f"{sum(moved.heads.values())} heads were moved. There are {moved.partitions} partitions.")


def _described(topic: Any) -> dict[str, Any]:
    return {
        "topic": topic.topic,
        "partitions": topic.num_partitions,
        "replicas": topic.replication_factor,
        "config": dict(topic.config),
    }
