"""``cosmo produce``: events from files to their topic, and a reason for every line that is not one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cosmo.cli.output import AsJson, counted, print_json, print_table

if TYPE_CHECKING:
    from cosmo.produce import Actions, Summary

app = typer.Typer()

INTERRUPTED = 130


@app.command()
def produce(
    topic: Annotated[str, typer.Argument(help="query-purchase or co-purchase.")],
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Files of lines, gzip or not; - reads stdin.")],
    *,
    form: Annotated[str, typer.Option("--format", help="native, ubi or opensearch-ubi.")] = "native",
    refused: Annotated[
        Path | None, typer.Option(help="File for refused lines.", show_default="FILE.refused.ndjson")
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(metavar="N/s", help="Send at most N events a second; N/m a minute.", show_default=False),
    ] = None,
    action: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=ACTION", help="What a UBI action_name means; ACTION may be skip. May be repeated."),
    ] = None,
    products: Annotated[
        Path | None, typer.Option(help="Products, one JSON object a line, for UBI events without titles.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 when a line was refused.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send the events in files to a topic, each confirmed, and say which lines were refused and why.

    Refused lines go to a file with their number, reason and text; `jq -r .original` gives them back to be mended.
    What an earlier run refused of the same file is replaced, or removed when nothing is refused any more. Sending the
    same file twice counts its events once. Exits 0 when everything was sent or written to that file, 1
    when the brokers or that file failed (and with --strict when a line was refused), 2 for wrong usage, 130 after
    Ctrl-C or SIGTERM.

    Examples:

        cosmo produce query-purchase searches.ndjson
        cosmo produce co-purchase orders.ndjson.gz --rate 2000/s
        cosmo produce query-purchase ubi_queries.ndjson ubi_events.ndjson --format ubi --products catalogue.ndjson
        zcat bulk.gz | cosmo produce query-purchase - --format opensearch-ubi --refused bad.ndjson --json
    """
    from cosmo.produce import INPUTS, Format, RefusedFiles, read, send
    from cosmo.runtime.settings import settings

    if topic not in INPUTS:
        raise typer.BadParameter(f"{topic} is none of {', '.join(INPUTS)}.", param_hint="TOPIC")
    if form not in set(Format):
        raise typer.BadParameter(f"{form} is none of {', '.join(Format)}.", param_hint="--format")
    if form != Format.NATIVE and topic != "query-purchase":
        raise typer.BadParameter("UBI has no orders; its events belong in query-purchase.", param_hint="--format")
    if form == Format.NATIVE and (products is not None or action):
        option = "--action" if action else "--products"
        raise typer.BadParameter("It is for UBI; native lines have their own titles and actions.", param_hint=option)
    _check_files(files, refused)
    if products is not None:
        _check_file(str(products), "--products")
    actions, rate_per_s = _actions(action or []), _rate(rate)
    with RefusedFiles(refused) as refusals, _progress(quiet=as_json) as (show, say):
        summary = send(
            chain.from_iterable(map(read, files)),
            topic=topic,
            settings=settings(),
            format=Format(form),
            refused=refusals,
            progress=show,
            waiting=say,
            rate_per_s=rate_per_s,
            actions=actions,
            products=read(str(products)) if products else (),
        )
        if not (summary.failure or summary.interrupted):
            refusals.remove_settled([*summary.read_from, *([str(products)] if products else [])])
    summary = _with_empty(summary, files)
    paths = [str(path) for path in refusals.paths]
    _print_json_summary(summary, paths) if as_json else _print_summary(summary, paths)
    _exit(summary, strict=strict)


def _check_files(files: list[str], refused: Path | None) -> None:
    """Before anything is sent: a misspelt third file must not be found out after the second, and refusals must not
    be written over what is still to be read. Pipes are files too."""
    from cosmo.produce.refused_file import default_path

    for name in files:
        _check_file(name, "FILE")
    if refused is not None and not refused.absolute().parent.is_dir():
        raise typer.BadParameter(f"{refused.absolute().parent} is no directory.", param_hint="--refused")
    inputs = {Path(name).resolve() for name in files}
    for path in {refused} if refused else set(map(default_path, files)):
        if path.resolve() in inputs:
            raise typer.BadParameter(f"{path} is an input; refusals would replace it.", param_hint="--refused")


def _check_file(name: str, given_as: str) -> None:
    if name != "-" and not _is_readable(name):
        raise typer.BadParameter(f"{name} is no file that can be read.", param_hint=given_as)


def _is_readable(name: str) -> bool:
    try:
        return not Path(name).is_dir() and Path(name).exists() and os.access(name, os.R_OK)
    except OSError:  # a directory on the way that we may not enter, a name too long
        return False


def _actions(pairs: list[str]) -> Actions:
    from cosmo.produce import Actions
    from cosmo.runtime.errors import CosmoError

    try:
        return Actions.parse(pairs)
    except CosmoError as error:
        raise typer.BadParameter(str(error), param_hint="--action") from error


def _rate(text: str | None) -> float | None:
    """Events a second from ``N``, ``N/s`` or ``N/m``; None for no limit."""
    if text is None:
        return None
    number, _, per = text.partition("/")
    try:
        rate = float(number) / {"": 1.0, "s": 1.0, "m": 60.0}[per]
    except (ValueError, KeyError) as error:
        raise typer.BadParameter(f"{text!r} is no rate; write 500/s or 30000/m.", param_hint="--rate") from error
    if not 0 < rate < float("inf"):
        raise typer.BadParameter("A rate is more than 0.", param_hint="--rate")
    return rate


@contextmanager
def _progress(*, quiet: bool) -> Iterator[tuple[Callable[[Summary], None], Callable[[str], None]]]:
    """(shows the run, says what is waited for), both on standard error; the run only while that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield (lambda _: None), (lambda text: typer.echo(text, err=True))
        return
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), console=console, transient=True) as bar:
        task = bar.add_task("connecting")

        def say(text: str) -> None:
            bar.update(task, description=text)

        yield (lambda summary: say(_line(summary))), say


def _line(summary: Summary) -> str:
    speed = summary.sent / summary.seconds if summary.seconds > 0 else 0.0
    return f"{summary.sent:,} sent, {speed:,.0f}/s; {summary.refused_total:,} refused; {summary.waiting:,} waiting"


def _print_json_summary(summary: Summary, paths: list[str]) -> None:
    print_json(summary.document() | {"refused_files": paths})


def _print_summary(summary: Summary, paths: list[str]) -> None:
    from cosmo.produce.reasons import meaning

    typer.echo(
        f"Sent {counted(summary.sent, 'event')} ({_size(summary.bytes)}) to {summary.topic}"
        f" in {summary.seconds:,.1f} s."
    )
    if summary.passed:
        why = ", ".join(f"{why.replace('_', ' ')} {count:,}" for why, count in sorted(summary.passed.items()))
        typer.echo(f"Passed over {counted(sum(summary.passed.values()), 'line')}: {why}.")
    if summary.refused:
        typer.echo(f"Refused {counted(summary.refused_total, 'line')}{_where(summary, paths)}.")
        rows = sorted(summary.refused.items(), key=lambda row: (-row[1], row[0]))
        print_table(
            ("Reason", "Lines", "Rule"),
            [(reason, f"{count:,}", meaning(reason)) for reason, count in rows],
            right=("Lines",),
        )
    for hint in summary.hints:
        typer.echo(_printable(hint))


def _with_empty(summary: Summary, files: list[str]) -> Summary:
    """Also says which files gave nothing, once all of them have been read."""
    from dataclasses import replace

    from cosmo.produce.hints import empty

    if summary.failure or summary.interrupted:
        return summary
    return replace(summary, hints=(*summary.hints, *empty(files, summary.read_from)))


def _size(of_bytes: int) -> str:
    return f"{of_bytes / 1e3:,.1f} kB" if of_bytes < 1e6 else f"{of_bytes / 1e6:,.1f} MB"


def _where(summary: Summary, paths: list[str]) -> str:
    written = summary.refused_total - summary.untold
    names = ", ".join(map(_printable, paths))
    if not summary.untold:
        return f"; see {names}"
    return f"; {written:,} are in {names}, and {summary.untold:,} nowhere" if written else ", which are written nowhere"


def _printable(text: str) -> str:
    """The name of a file may be no UTF-8."""
    return text.encode("utf-8", "replace").decode()


def _exit(summary: Summary, *, strict: bool) -> None:
    from cosmo.produce.sending import AGAIN

    if summary.interrupted:
        typer.echo(f"Interrupted after {summary.read_until or 'no line'}. {AGAIN}", err=True)
        raise typer.Exit(INTERRUPTED)
    if summary.failure:
        typer.secho(f"Stopped after {summary.read_until or 'no line'}: {summary.failure}", fg="red", err=True)
        typer.echo(summary.advice, err=True)
        raise typer.Exit(1)
    if strict and summary.refused:
        raise typer.Exit(1)
