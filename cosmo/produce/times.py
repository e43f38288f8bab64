"""Instants as producers write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from cosmo.produce.jsonline import json_type
from cosmo.produce.outcomes import LineReason, LineRefused

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS = range(946_684_800, 4_102_444_800)
"""2000 to 2100 in seconds. As milliseconds they lie in the first weeks of 1970, from where no event is taken."""


def instant(value: Any, where: str, *, zone: tzinfo | None = None) -> datetime:
    """ISO 8601 text or whole milliseconds since 1970, as an instant in UTC.

    Text without a time zone is refused, unless ``zone`` says which is meant. Raises LineRefused: wrong_type, bad_time.
    """
    if type(value) is str:
        return _from_text(value, where, zone)
    if type(value) is int:
        return _from_millis(value, where)
    raise LineRefused(LineReason.WRONG_TYPE, f"{where} is {json_type(value)} where an instant is wanted")


def _from_text(value: str, where: str, zone: tzinfo | None) -> datetime:
    try:
        found = datetime.fromisoformat(value)
        if found.tzinfo is None:
            if zone is None:
                raise LineRefused(LineReason.BAD_TIME, f"{where} has no time zone: {value[:40]!r}; add Z or +01:00")
            found = found.replace(tzinfo=zone)
        return found if found.tzinfo is UTC else found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise LineRefused(LineReason.BAD_TIME, f"{where} is not ISO 8601: {value[:40]!r}") from error


def _from_millis(value: int, where: str) -> datetime:
    if value in _SECONDS:
        detail = f"{where}: {value} seems to be seconds since 1970; milliseconds are wanted, so multiply by 1000"
        raise LineRefused(LineReason.BAD_TIME, detail)
    try:
        return _EPOCH + timedelta(milliseconds=value)
    except OverflowError as error:
        detail = f"{where}: {value} is no count of milliseconds since 1970 before the year 9999"
        raise LineRefused(LineReason.BAD_TIME, detail) from error
