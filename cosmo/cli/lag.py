"""``cosmo lag``: who is behind, by how much, since when."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from cosmo.cli.output import AsJson, print_json, print_table

if TYPE_CHECKING:
    from cosmo.lag import GroupLag, PartitionLag

app = typer.Typer()

STATES = {"STABLE": "running", "EMPTY": "stopped", "DEAD": "never ran", "UNKNOWN": "unknown"}
"""For people; the JSON document keeps Kafka's words, which call a group that never was, or was forgotten, dead."""


@app.command()
def lag(
    group: Annotated[list[str] | None, typer.Option(help="Only this group; * and ? allowed; may be repeated.")] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Every group of the cluster, not only ours.")] = False,
    partitions: Annotated[
        bool, typer.Option("--partitions", help="One line for each partition, with its owner.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show how far each consumer group is behind, in records and in seconds, also when it is dead.

    Seconds are the age of the oldest record not yet committed, read from the log. Where one of our groups has committed
    nothing, the whole log waits; where another group begins there, only that group knows. A dash is unknown, and ≥
    stands where only a part is known. Exits 1 when the brokers did not tell everything, or know no group of a name that
    was given; what they told is shown all the same.

    Examples: cosmo lag    cosmo lag --partitions --group 'cosmo-in*'    cosmo lag --json
    """
    from cosmo.lag import LagReader, group_lags
    from cosmo.lag.document import as_document
    from cosmo.runtime.settings import settings

    with LagReader(settings()) as reader:
        snapshot = reader.read(group or (), everyone=everyone)
    lags = group_lags(snapshot)
    if as_json:
        print_json(as_document(snapshot.taken_at, lags))
    else:
        _print(lags, partitions=partitions)
    _exit(lags, missing=[one.group for one in lags if group and not one.exists])


def _exit(lags: tuple[GroupLag, ...], *, missing: Sequence[str]) -> None:
    if missing:
        typer.echo(f"There is no group {', '.join(missing)}. `cosmo lag --all` shows which there are.", err=True)
    if unanswered := sum(one.problems for one in lags):
        typer.echo(f"The brokers did not answer {unanswered:,} questions; the notes say which. Ask again.", err=True)
    if missing or unanswered:
        raise typer.Exit(1)


def _print(lags: tuple[GroupLag, ...], *, partitions: bool) -> None:
    columns = ("Group", "State", "Topic", "Records", "Oldest", *(("Owner",) if partitions else ()), "Note")
    rows = [row for one in lags for row in (_by_partition(one) if partitions else _by_topic(one))]
    if rows:
        print_table(columns, rows, right=("Records", "Oldest"))


def _by_partition(group: GroupLag) -> list[tuple[str, ...]]:
    return [
        *_about_group(group, owner=True),
        *(
            (group.group, _state(group), f"{one.topic}[{one.partition}]", *_figures((one,)), one.owner, one.note)
            for one in group.partitions
        ),
    ]


def _by_topic(group: GroupLag) -> list[tuple[str, ...]]:
    rows = _about_group(group, owner=False)
    for topic, found in groupby(group.partitions, key=lambda one: one.topic):
        ones = tuple(found)
        notes = dict.fromkeys(f"[{one.partition}] {one.note}" for one in ones if one.note)
        rows.append((group.group, _state(group), topic, *_figures(ones), "\n".join(notes)))
    return rows


def _about_group(group: GroupLag, *, owner: bool) -> list[tuple[str, ...]]:
    """A row of its own for what is not about a partition."""
    row = (group.group, _state(group), "", "-", "-", *(("",) if owner else ()), group.problem)
    return [row] if group.problem else []


def _state(group: GroupLag) -> str:
    return STATES.get(group.state, group.state.lower()) + (f" ({group.members})" if group.members else "")


def _figures(ones: tuple[PartitionLag, ...]) -> tuple[str, str]:
    from cosmo.lag.document import duration
    from cosmo.lag.model import Total

    total = Total.of(ones)
    records = "-" if total.records is None else f"{'' if total.all_records else '≥ '}{total.records:,}"
    seconds = "-" if total.seconds is None else f"{'' if total.all_seconds else '≥ '}{duration(total.seconds)}"
    return records, seconds
