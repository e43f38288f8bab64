"""``cosmo lookup``: what is known of a query or a product, and why; or the API that says it to programs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from cosmo.cli.output import AsJson, counted, print_blocks, print_json, print_table

if TYPE_CHECKING:
    from features.lookup.answers import Answer, FoundIntent
    from features.lookup.reader import Reader

app = typer.Typer(help="Read the intents of a query or a product, or serve them.", no_args_is_help=True)

Explain = Annotated[bool, typer.Option("--explain", help="Say of each intent why it is believed.")]


@app.command("query")
def query_command(
    text: Annotated[str, typer.Argument(help="As a shopper would type it.")],
    explain: Explain = False,
    as_json: AsJson = False,
) -> None:
    """Show why shoppers search this, best first: by sessions, age and typicality.

    Examples: cosmo lookup query 'soft drinks'    cosmo lookup query 'soft drinks' --explain
    """
    _refuse_blank(text, "TEXT")
    _show(lambda reader: reader.query(text, explain=explain), as_json=as_json)


@app.command("product")
def product_command(
    product_id: Annotated[str, typer.Argument(help="The shop's identifier.")],
    complements: Annotated[bool, typer.Option("--complements", help="What is bought with it, instead.")] = False,
    explain: Explain = False,
    as_json: AsJson = False,
) -> None:
    """Show why shoppers buy this product, or what they buy with it.

    Examples: cosmo lookup product 1098066    cosmo lookup product 1098066 --complements --explain
    """

    _refuse_blank(product_id, "PRODUCT_ID")

    def look_up(reader: Reader) -> Awaitable[Answer]:
        read = reader.complements if complements else reader.product
        return read(product_id, explain=explain)

    _show(look_up, as_json=as_json)


@app.command("serve")
def serve_command() -> None:
    """Serve look-ups over HTTP on COSMO_LISTEN_HOST:COSMO_LOOKUP_PORT until Ctrl-C or SIGTERM.

    Then, in another terminal: curl 'http://127.0.0.1:8090/v1/queries/soft%20drinks/intents?explain=true'

    Examples: cosmo lookup serve    COSMO_LOOKUP_PORT=9000 cosmo lookup serve
    """
    from cosmo.runtime import logs
    from cosmo.runtime.settings import settings
    from features.lookup.server import run

    logs.configure(settings(), process="lookup")
    run(settings())


def _refuse_blank(key: str, argument: str) -> None:
    from features.lookup.keys import is_blank

    if is_blank(key):
        raise typer.BadParameter("it is blank: nothing is ever known of that.", param_hint=argument)


def _show(look_up: Callable[[Reader], Awaitable[Answer]], *, as_json: bool) -> None:
    import asyncio

    from cosmo.runtime.settings import settings
    from features.lookup.reader import build

    async def answered() -> Answer:
        reader = build(settings())
        try:
            return await look_up(reader)
        finally:
            await reader.close()

    answer = asyncio.run(answered())
    if as_json:
        print_json(answer.model_dump(mode="json"))
    else:
        print_answer(answer)


def print_answer(answer: Answer) -> None:
    """An answer for people."""
    from features.lookup.answers import QueryIntents, Status
    from features.lookup.sentences import old

    name = answer.query if isinstance(answer, QueryIntents) else answer.product_id
    if answer.refusal is not None:
        typer.echo(f"{answer.refusal.error} {answer.refusal.advice}")
        return
    if answer.status is Status.NONE:
        typer.echo(f"Nothing known about “{name}”.")
        return
    typer.echo(_title(answer))
    typer.echo(f"{answer.status}, {old(answer.age_s or 0.0)}, by {answer.model}")
    rows = _rows(answer)
    if any(intent.why for _, intent in rows):
        print_blocks(_block(bought, intent) for bought, intent in rows)
    else:
        _print_table(rows)


def _rows(answer: Answer) -> list[tuple[str, FoundIntent]]:
    """What is bought with the product asked for, or nothing, and the reason."""
    from features.lookup.answers import ProductComplements

    if isinstance(answer, ProductComplements):
        return [(complement.title or complement.product_id, complement) for complement in answer.complements]
    return [("", intent) for intent in answer.intents]


def _title(answer: Answer) -> str:
    from features.lookup.answers import QueryIntents

    if not isinstance(answer, QueryIntents):
        kind = f" ({answer.product_type})" if answer.product_type else ""
        return f"{answer.title or answer.product_id}{kind}"
    notes = [f"specificity {answer.specificity:.2f}"] if answer.specificity is not None else []
    types = ", ".join(f"“{kind}”" for kind in answer.product_types)  # many hold a comma
    notes += [f"buys {types}"] if types else []
    return f"“{answer.query}”" + (f": {'; '.join(notes)}" if notes else "")


def _print_table(rows: Sequence[tuple[str, FoundIntent]]) -> None:
    words = ["Bought with it"] * any(bought for bought, _ in rows) + ["Intent"]
    cells = [(bought, intent.text, *_figures(intent))[-len(words) - len(_FIGURES) :] for bought, intent in rows]
    print_table([*words, *_FIGURES], cells, right=_FIGURES, folding=words)


_FIGURES = ("Plausible", "Typical", "Sessions\nwhen asked")


def _figures(intent: FoundIntent) -> tuple[str, str, str]:
    return (_score(intent.plausibility), _score(intent.typicality), f"{intent.support:,}")


def _score(score: float | None) -> str:
    """A question mark for what nobody has judged."""
    return "?" if score is None else f"{score:.2f}"


def _block(bought: str, intent: FoundIntent) -> list[str]:
    """An intent, what it was worth to the filters, and the evidence: each on lines of their own."""
    plausible, typical, _ = _figures(intent)
    figures = f"plausible {plausible}, typical {typical}, {counted(intent.support, 'session')} when asked"
    return [f"{bought}: {intent.text}" if bought else intent.text, figures, *_evidence(intent)]


def _evidence(intent: FoundIntent) -> list[str]:
    why = intent.why
    if why is None:
        return []
    scores = ", ".join(f"{name} {score:.2f}" for name, score in why.scores.items())
    asked = f"asked by {why.template_id} of {why.model_id}"
    return [why.sentence, f"{asked}; {scores}" if scores else asked]
