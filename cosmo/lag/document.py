"""Lag for machines (the document of ``cosmo lag --json``) and durations for people."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from cosmo.lag.model import GroupLag


def as_document(taken_at: datetime, lags: tuple[GroupLag, ...]) -> dict[str, Any]:
    """What ``cosmo lag --json`` prints: ``records`` and ``seconds`` are null where nobody can know them;
    ``complete`` is false where one is null or the brokers left a question open. ``problem`` or ``note`` says why."""
    complete = all(one.complete for one in lags)
    return {"taken_at": taken_at.isoformat(), "complete": complete, "groups": [_group(one) for one in lags]}


def duration(seconds: float) -> str:
    """Two units at most: ``0.3 s``, ``12 s``, ``4 min 05 s``, ``3 h 07 min``, ``2 d 04 h``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600:02} h"


def _group(lag: GroupLag) -> dict[str, Any]:
    return {
        "group": lag.group,
        "state": lag.state,
        "members": None if lag.problem else lag.members,
        "problem": lag.problem,
        "records": lag.records,
        "seconds": lag.seconds,
        "partitions": [asdict(partition) for partition in lag.partitions],
    }
