"""``cosmo worker``: the processes of the stream."""

from __future__ import annotations

import signal
from typing import NoReturn

import typer

app = typer.Typer(
    help="Run one process of the stream, or all four. Example: cosmo worker ingest. Stop with Ctrl-C or SIGTERM.",
    no_args_is_help=True,
)

SIGNALS = (signal.SIGTERM, signal.SIGINT)
EXIT_S = 1.0
"""What the interpreter may take behind the stop; `Children` and Kubernetes wait a second longer."""


def _leave_on_signals() -> None:
    """Until the worker listens to signals itself, one ends the process at once, and well: nothing has begun."""

    def leave(*_: object) -> NoReturn:
        raise SystemExit(0)

    for number in SIGNALS:
        signal.signal(number, leave)


def _stop_once() -> None:
    """What is left is the interpreter's end, and asyncio has given the signals back: a second one would kill us now."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _run(process: str) -> None:
    _leave_on_signals()
    from cosmo.runtime import logs
    from cosmo.runtime.errors import StopWorker
    from cosmo.runtime.last_resort import LastResort
    from cosmo.runtime.settings import settings
    from cosmo.workers import all as children
    from cosmo.workers import one

    logs.configure(settings(), process=process)
    last_resort = LastResort(settings().shutdown_s + EXIT_S, exit_s=EXIT_S)
    try:
        one.run(process, settings(), last_resort)
    except SystemExit:
        last_resort.settled()
        raise
    except StopWorker as stop:
        typer.echo(children.STOPPED + " ".join(str(stop).split()), err=True)  # one line, which `Children` looks for
        last_resort.exit_code = children.STOPPED_ON_PURPOSE
        raise typer.Exit(children.STOPPED_ON_PURPOSE) from stop
    finally:
        _stop_once()
        last_resort.arm()


@app.command()
def ingest() -> None:
    """Read query-purchase and co-purchase; write blocks of facts, and dead letters.

    Examples: cosmo worker ingest    COSMO_LOG_FORMAT=json cosmo worker ingest
    """
    _run("ingest")


@app.command()
def sample() -> None:
    """Merge facts into the sampler's state; release the pairs worth explaining.

    Examples: cosmo worker sample    COSMO_SAMPLE_QUERY_SESSIONS=10 cosmo worker sample
    """
    _run("sample")


@app.command()
def infer() -> None:
    """Ask the model about pairs and requests; write intents, and what was rejected.

    Examples: cosmo worker infer    COSMO_LM_URL=http://10.0.0.7:8000 COSMO_LM_BATCH_PROMPTS=64 cosmo worker infer
    """
    _run("infer")


@app.command()
def materialize() -> None:
    """Merge intents into the features of their entities.

    Examples: cosmo worker materialize    REDIS_URL=redis://10.0.0.5:6379/0 cosmo worker materialize
    """
    _run("materialize")


@app.command("all")
def every() -> None:
    """All four as child processes, for one machine. One that dies is started again.

    Run `cosmo stack up` first. Metrics and health are on ports 9101 to 9104, or from COSMO_WORKER_PORT on.

    Examples: cosmo worker all    COSMO_WORKER_PORT=9201 cosmo worker all
    """
    _leave_on_signals()
    from cosmo.runtime import logs
    from cosmo.runtime.settings import settings
    from cosmo.workers.all import Children

    logs.configure(settings(), process="workers")
    Children(settings()).run()
