"""``cosmo dlq``: what could not be used, why, and sending it again once the cause is mended."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cosmo.cli.output import AsJson, counted, print_json, print_table

if TYPE_CHECKING:
    from cosmo.deadletters.examine import Examined
    from cosmo.deadletters.letter import Letter
    from cosmo.deadletters.reader import Wanted
    from cosmo.deadletters.replay import Replayed

INTERRUPTED = 130

app = typer.Typer(help="List, show and replay dead letters.", no_args_is_help=True)

Topic = Annotated[str, typer.Argument(help="The topic that the records were sent to, such as query-purchase.")]
Reasons = Annotated[list[str] | None, typer.Option("--reason", help="Only this reason; may be repeated.")]
Partition = Annotated[int | None, typer.Option(min=0, help="Only this partition of the dead-letter topic.")]


@app.command("list")
def list_command(
    topic: Annotated[str | None, typer.Argument(help="Only this topic.", show_default=False)] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Count dead letters by topic and reason, with the place of the newest of each.

    Examples: cosmo dlq list    cosmo dlq list query-purchase --json
    """
    from cosmo.deadletters import operations
    from cosmo.deadletters.documents import visible
    from cosmo.runtime.settings import settings

    found = operations.counts(settings(), _source(topic) if topic else None)
    if as_json:
        print_json([one.document() for one in found])
        return
    if not found:
        typer.echo("No dead letters.")
        return
    rows = [
        (one.topic, visible(one.reason) or "(none given)", f"{one.letters:,}", f"{one.replayed:,}",
         f"{one.oldest:%Y-%m-%d %H:%M:%S}", f"{one.newest:%Y-%m-%d %H:%M:%S}", one.example, visible(one.detail))
        for one in found
    ]  # fmt: skip
    columns = ("Topic", "Reason", "Letters", "Replayed", "Oldest (UTC)", "Newest (UTC)", "Newest at", "What it said")
    print_table(columns, rows, right=("Letters", "Replayed"))


@app.command("show")
def show_command(
    topic: Topic,
    *,
    partition: Partition = None,
    offset: Annotated[int | None, typer.Option(min=0, help="Offset in the dead-letter topic.")] = None,
    reason: Reasons = None,
    limit: Annotated[int, typer.Option(min=1, metavar="LETTERS", help="Show so many, the newest.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Show dead letters whole: where from, why, headers, bytes, and what would become of them now.

    Examples:

        cosmo dlq show query-purchase
        cosmo dlq show query-purchase --partition 0 --offset 12
        cosmo dlq show query-purchase --reason unknown_schema --limit 20 --json | jq '.[].now'
    """
    from cosmo.deadletters import operations
    from cosmo.deadletters.documents import as_document
    from cosmo.runtime.errors import CosmoError
    from cosmo.runtime.settings import settings

    wanted = _wanted(reason, partition, offset, offset)
    found = operations.newest(settings(), _source(topic), wanted, limit)
    if as_json:
        print_json([as_document(*one) for one in found])
    elif not found:
        raise CosmoError(f"{topic} has no such dead letter.", advice="`cosmo dlq list` says which there are.")
    else:
        for letter, examined in found:
            _show(letter, examined)


@app.command("replay")
def replay_command(
    topic: Topic,
    *,
    reason: Reasons = None,
    partition: Partition = None,
    from_offset: Annotated[int | None, typer.Option(min=0, help="First offset in the dead-letter topic.")] = None,
    to_offset: Annotated[int | None, typer.Option(min=0, help="Last offset, included.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be replayed, and refused again.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Also what was replayed before.")] = False,
    max_replays: Annotated[
        int, typer.Option(min=1, help="Leave letters that came back this often; their cause is not mended.")
    ] = 5,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before replaying everything.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send dead letters back to their topic: same key, value, headers and partition, and a count of replays.

    Mend the cause first, for instance by registering the missing schema. Each letter is replayed once, however often
    the command is run; but what is still bad comes back as a new letter, which the next run replays. The letters stay
    where they are until they expire. Before it replays everything it asks; where nobody can be asked it needs --yes.
    Exits 1 when a letter was not taken or the brokers failed, 2 for wrong usage, 130 after Ctrl-C; what was done by
    then is said, and the same command goes on from there.

    Examples:

        cosmo dlq replay query-purchase --reason unknown_schema --dry-run
        cosmo dlq replay query-purchase --reason unknown_schema
        cosmo dlq replay co-purchase --partition 0 --from-offset 100 --to-offset 199
    """
    from cosmo.deadletters import operations
    from cosmo.runtime.settings import settings

    source, wanted = _source(topic), _wanted(reason, partition, from_offset, to_offset)
    if wanted.everything and not (yes or dry_run):
        _ask(topic, lambda: sum(one.letters for one in operations.counts(settings(), source)))
    done = operations.replay(settings(), source, wanted, dry_run=dry_run, again=again, max_replays=max_replays)
    foreseen = {"now": done.now, "unknown": done.unknown or None} if dry_run else {"now": None, "unknown": None}
    print_json(asdict(done) | {"dry_run": dry_run} | foreseen) if as_json else _print_replayed(done, dry_run=dry_run)
    _exit(done)


def _ask(topic: str, count: Callable[[], int]) -> None:
    if sys.stdin is None or not sys.stdin.isatty():  # None: closed before we began
        raise typer.BadParameter(
            f"This would replay all dead letters of {topic}, and nobody can be asked. Give --yes, or say which by"
            " --reason, --partition or offsets.",
            param_hint="--yes",
        )
    typer.confirm(f"Replay all {count():,} dead letters of {topic}?", abort=True, err=True)


def _exit(done: Replayed) -> None:
    if done.failed:
        typer.echo(f"{done.failed:,} letters failed.", err=True)
    if done.unmarked:
        typer.echo(f"{done.unmarked:,} were sent and could not be remembered; they would be sent once more.", err=True)
    if done.failure:
        typer.echo(f"{done.failure.rstrip('.')}. What is left is replayed by the same command.", err=True)
    if done.interrupted:
        typer.echo("Interrupted; what is left is replayed by the same command.", err=True)
        raise typer.Exit(INTERRUPTED)
    if done.failure:
        raise typer.Exit(1)


def _source(given: str) -> str:
    from cosmo.deadletters.topics import source_name
    from cosmo.runtime.errors import CosmoError
    from cosmo.runtime.settings import settings

    try:
        return source_name(given, settings().topic_prefix)
    except CosmoError as error:
        raise typer.BadParameter(str(error), param_hint="TOPIC") from error


def _wanted(reasons: list[str] | None, partition: int | None, first: int | None, last: int | None) -> Wanted:
    from cosmo.deadletters.reader import Wanted

    return Wanted(reasons=frozenset(reasons or ()), partition=partition, first_offset=first, last_offset=last)


def _show(letter: Letter, examined: Examined) -> None:
    from cosmo.deadletters.documents import hex_rows, plain, printable, visible

    decoded = json.dumps(plain(examined.fields), ensure_ascii=False, indent=2) if examined.fields else ""
    headers = [f"{name}: {printable(value)}" for name, value in letter.headers] or ["none"]
    lines = [
        letter.where,
        f"  reason     {letter.reason or '(none given)'}",
        f"  detail     {letter.detail}",
        f"  came from  {letter.came_from}",
        f"  died at    {letter.died_at.isoformat()}",
        f"  replays    {letter.replays}",
        f"  now        {examined.verdict}{f': {examined.detail}' if examined.detail else ''}",
        f"  key        {printable(letter.key)}",
        "  headers",
        *(f"    {header}" for header in headers),
        f"  value      {'null' if letter.value is None else f'{len(letter.value):,} bytes'}",
        *(f"    {row}" for row in (hex_rows(letter.value) if letter.value else ())),
        *(f"    {row}" for row in decoded.splitlines()),
    ]
    typer.echo("\n".join(map(visible, lines)) + "\n")


def _print_replayed(done: Replayed, *, dry_run: bool) -> None:
    from cosmo.deadletters.documents import visible

    typer.echo(f"{'Would replay' if dry_run else 'Replayed'} {counted(done.replayed, 'dead letter')} to {done.topic}.")
    for reason, count in sorted(done.by_reason.items()):
        typer.echo(f"  {visible(reason) or '(no reason given)'}: {count:,}")
    if done.returned:
        hint = "" if dry_run else "; --dry-run says how many would once more"
        typer.echo(f"{done.returned:,} of them had come back from an earlier replay{hint}.")
    _print_outlook(done)
    if done.passed_over:
        typer.echo(f"Passed over {done.passed_over:,} that were replayed before; --again replays them too.")
    if done.parked:
        typer.echo(f"Left {done.parked:,} that have come back too often; --max-replays sets the limit.")


def _print_outlook(done: Replayed) -> None:
    """What a dry run foresees."""
    from cosmo.deadletters.documents import visible
    from cosmo.deadletters.examine import Verdict

    if accepted := done.now.get(Verdict.ACCEPTED):
        typer.echo(f"{accepted:,} would be accepted now.")
    if refused := done.now.get(Verdict.REFUSED):
        typer.echo(f"{refused:,} would be refused again; `cosmo dlq show` says of each letter why.")
    if readable := done.now.get(Verdict.READABLE):
        typer.echo(f"{readable:,} can be read now; whether their worker can use them only the worker knows.")
    if unknown := done.now.get(Verdict.UNKNOWN):
        typer.echo(f"What would become of {unknown:,} is not known: {visible(done.unknown)}")
