"""``cosmo stack``: the local stack by itself, for those who run the workers one by one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from cosmo.cli.output import AsJson, print_json, print_table
from cosmo.runtime.settings import settings
from cosmo.stack import session
from cosmo.stack.home import Home
from cosmo.stack.parts import Name
from cosmo.stack.stack import Phase
from cosmo.stack.status import Health, PartStatus

app = typer.Typer(help="Start, stop or inspect the local stack.", no_args_is_help=True)


@app.command("up")
def up_command(
    brokers: Annotated[int, typer.Option(help="Kafka nodes: 1, or 3 to see one of them fail.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Start Kafka, the schema registry, Valkey and the model server, make them ready for work, and leave them running.

    Ready for work: the topics exist, the schemas are registered, Feast's definitions are applied.

    All of them listen on the loopback address only, and keep their data in .cosmo (COSMO_HOME). To use a server of your
    own for one of them, name it; the others are started:

        REDIS_URL=redis://10.0.0.5:6379/0 cosmo stack up
        cosmo stack up --brokers 3
    """
    if brokers not in {1, 3}:
        raise typer.BadParameter("1 or 3: a quorum of two survives no failure.", param_hint="--brokers")
    stack = session.up(settings(), brokers=brokers, progress=_say)
    if brokers > 1:
        typer.echo(f"For workers: export KAFKA_BOOTSTRAP_SERVERS={stack.kafka_bootstrap_servers}", err=True)
    _print(session.status(settings()), as_json=as_json)


@app.command("down")
def down_command(as_json: AsJson = False) -> None:
    """Stop what `cosmo stack up` has started; the data stay. Remove .cosmo/data as well to begin anew:

    cosmo stack down
    cosmo stack down && rm -r .cosmo/data
    """
    stopped = session.down(settings())
    if as_json:
        print_json({"stopped": stopped})
    else:
        where = Home.at(settings().home).root
        typer.echo(f"Stopped {', '.join(stopped)}." if stopped else f"Nothing to stop: nothing of {where} runs.")


@app.command("status")
def status_command(as_json: AsJson = False) -> None:
    """Show each part's address, process, memory and health; exits 1, and says where it looked, unless all are ready.

    It looks in COSMO_HOME, which is `.cosmo` in the current directory unless it is set.

    cosmo stack status
    cosmo stack status --json | jq -r '.[] | select(.health != "ready") | .logs[]'
    """
    parts = session.status(settings())
    _print(parts, as_json=as_json)
    if any(part.health is not Health.READY for part in parts):
        typer.echo(_where(parts), err=True)
        raise typer.Exit(1)


def _where(parts: list[PartStatus]) -> str:
    looked = f"This is the stack of {Home.at(settings().home).root} (COSMO_HOME)."
    if all(part.health is not Health.FOREIGN for part in parts):
        return looked
    return f"{looked} What answers at its ports belongs to another: go to that one's directory, or set COSMO_HOME."


def _say(name: Name, phase: Phase, detail: str) -> None:
    if phase is not Phase.STARTING:
        typer.echo(f"{name:<9} {f'ready at {detail}' if phase is Phase.READY else detail}", err=True)


def _print(parts: list[PartStatus], *, as_json: bool) -> None:
    if as_json:
        print_json([asdict(part) for part in parts])
        return
    rows = [
        (
            part.name,
            _health(part),
            _pids(part),
            f"{part.rss_bytes / 1e6:.0f} MB" if part.rss_bytes else "",
            part.address,
        )
        for part in parts
    ]
    print_table(("part", "health", "pid", "memory", "address"), rows, right=("memory",))


def _health(part: PartStatus) -> str:
    ended = part.health is Health.DEGRADED or part.health is Health.SILENT
    return f"{part.health} ({', '.join(part.ended)} ended)" if ended and part.ended else part.health


def _pids(part: PartStatus) -> str:
    return " ".join(map(str, part.pids)) if part.ours else "yours"
