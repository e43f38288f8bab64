"""How a log event becomes a line. Imports structlog, so only what logs imports this (see `cosmo.runtime.logs`)."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Literal

import structlog
from structlog.typing import EventDict, Processor

SHARED: Sequence[Processor] = (
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
)
"""What our own events and the libraries' records both go through before they are rendered."""

_SERVICE = re.compile(r"\[\^-*_?([^\]]+)\]: ")


@cache
def logger(name: str) -> structlog.stdlib.BoundLogger:
    """structlog's logger over the standard library's of that name."""
    made: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    return made


def formatter(log_format: Literal["json", "console"], fields: Mapping[str, str]) -> logging.Formatter:
    """Renders events and the libraries' records as lines of JSON, or for a console; ``fields`` go with each."""

    def with_fields(_logger: object, _method: str, event: EventDict) -> EventDict:
        return {**fields, **event}

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*SHARED, _service_as_field],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            with_fields,
            *_renderers(log_format),
        ],
    )


def _renderers(log_format: Literal["json", "console"]) -> list[Processor]:
    if log_format == "console":
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain, pad_event_to=36)]
    return [structlog.processors.format_exc_info, _event_as_text, structlog.processors.JSONRenderer(default=str)]


def _service_as_field(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Faust writes which of its services speaks, and how deep that lies among the others, into the message."""
    if named := _SERVICE.match(str(event["event"])):
        return {**event, "event": str(event["event"])[named.end() :], "service": named[1]}
    return event


def _event_as_text(_logger: object, _method: str, event: EventDict) -> EventDict:
    """A library may log an object as its message; one line of JSON needs text there."""
    return {**event, "event": str(event["event"])}
