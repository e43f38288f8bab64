"""Structured logs on standard error: an event is a short fixed phrase, everything that varies is a ``key=value`` field.

Standard output stays free for what a command prints. The libraries' own loggers go through the same handler,
so that one process speaks one format, and at WARNING, because at INFO they narrate every rebalance and request.
"""

from __future__ import annotations

import logging.config
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

from cosmo.runtime.errors import CosmoError
from cosmo.runtime.settings import Settings

if TYPE_CHECKING:
    import structlog

LIBRARIES = (
    *("aiokafka", "asyncio", "faust", "feast", "granian", "httpcore", "httpx", "kafka", "mode", "urllib3"),
    *(
        "streams.app",
        "streams.fetch.transport",
    ),  # they extend services of Faust, which narrate under these names
)
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def at(topic: str, partition: int, offset: int) -> str:
    """``topic[partition]@offset``: how logs, errors and ``cosmo dlq show`` name a record."""
    return f"{topic}[{partition}]@{offset}"


def get(name: str) -> structlog.stdlib.BoundLogger:
    """A logger for one module; bind fields with ``.bind(topic=…)``, and never format them into the event."""
    return cast("structlog.stdlib.BoundLogger", _Logger(name))


class _Logger:
    """structlog's, from the first event on: its import is a fifth of a look-up's time, and a look-up says nothing."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, method: str) -> Any:
        from cosmo.runtime.log_lines import logger

        return getattr(logger(self._name), method)


class _Formatter(logging.Formatter):
    """Ours, from the first line on."""

    def __init__(self, log_format: Literal["json", "console"], fields: Mapping[str, str]) -> None:
        super().__init__()
        self._log_format, self._fields = log_format, fields
        self._formatter: logging.Formatter | None = None

    def format(self, record: logging.LogRecord) -> str:
        from cosmo.runtime.log_lines import formatter

        self._formatter = self._formatter or formatter(self._log_format, self._fields)
        return self._formatter.format(record)


def configure(settings: Settings, **fields: str) -> None:
    """Send every log of this process to standard error; ``fields`` (``process="ingest"``) go with each of them."""
    logging.config.dictConfig(stdlib_config(settings, **fields))


def stdlib_config(settings: Settings, **fields: str) -> dict[str, Any]:
    """For ``logging.config.dictConfig``. Give it to Faust as ``logging_config``, or Faust replaces ours by its own."""
    level = settings.log_level.upper()
    if level not in LEVELS:
        raise CosmoError(f"Log level {level!r} does not exist.", advice=f"Set COSMO_LOG_LEVEL to one of {LEVELS}.")
    libraries = "INFO" if level == "DEBUG" else max(level, "WARNING", key=LEVELS.index)
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"structured": {"()": _Formatter, "log_format": settings.log_format, "fields": fields}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "stream": "ext://sys.stderr", "formatter": "structured"}
        },
        "loggers": {name: {"level": libraries} for name in LIBRARIES},
        "root": {"level": level, "handlers": ["stderr"]},
    }
