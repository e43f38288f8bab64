"""Structured logs on standard error: an event is a short fixed phrase, everything that varies is a ``key=value`` field.

Standard output stays free for what a command prints. The libraries' own loggers go through the same handler,
so that one process speaks one format, and at WARNING, because at INFO they narrate every rebalance and request.
"""

from __future__ import annotations

import logging
import logging.config
import sys
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, Processor

from cosmo.runtime.errors import CosmoError
from cosmo.runtime.settings import Settings

LIBRARIES = ("aiokafka", "asyncio", "faust", "feast", "granian", "httpcore", "httpx", "kafka", "mode", "urllib3")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def at(topic: str, partition: int, offset: int) -> str:
    """``topic[partition]@offset``: how logs, errors and ``cosmo dlq show`` name a record."""
    return f"{topic}[{partition}]@{offset}"


def get(name: str) -> structlog.stdlib.BoundLogger:
    """A logger for one module; bind fields with ``.bind(topic=…)``, and never format them into the event."""
    return structlog.stdlib.get_logger(name)


def configure(settings: Settings, **fields: str) -> None:
    """Send every log of this process to standard error; ``fields`` (``process="ingest"``) go with each of them."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**fields)
    logging.config.dictConfig(stdlib_config(settings))


def stdlib_config(settings: Settings) -> dict[str, Any]:
    """For ``logging.config.dictConfig``. Give it to Faust as ``logging_config``, or Faust replaces ours by its own."""
    level = settings.log_level.upper()
    if level not in LEVELS:
        raise CosmoError(f"Log level {level!r} does not exist.", advice=f"Set COSMO_LOG_LEVEL to one of {LEVELS}.")
    libraries = "INFO" if level == "DEBUG" else max(level, "WARNING", key=LEVELS.index)
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"structured": {"()": lambda: _formatter(settings.log_format)}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "stream": "ext://sys.stderr", "formatter": "structured"}
        },
        "loggers": {name: {"level": libraries} for name in LIBRARIES},
        "root": {"level": level, "handlers": ["stderr"]},
    }


def _shared() -> list[Processor]:
    """What our own events and the libraries' records both go through before they are rendered."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _formatter(log_format: Literal["json", "console"]) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared(),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(log_format)],
    )


def _renderers(log_format: Literal["json", "console"]) -> list[Processor]:
    if log_format == "console":
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain, pad_event_to=36)]
    return [structlog.processors.format_exc_info, _event_as_text, structlog.processors.JSONRenderer(default=str)]


def _event_as_text(_logger: object, _method: str, event: EventDict) -> EventDict:
    """A library may log an object as its message; one line of JSON needs text there."""
    return {**event, "event": str(event["event"])}
