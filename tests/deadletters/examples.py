"""Dead letters to look at."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from cosmo.deadletters.letter import Letter

DIED_MS = 1_772_366_400_000


def letter(offset: int = 0, **changes: Any) -> Letter:
    reason = changes.pop("reason", "wrong_magic")
    found = Letter(
        topic="t.query-purchase.dlq",
        partition=0,
        offset=offset,
        timestamp_ms=DIED_MS + offset * 1000,
        key=b"key",
        value=b"hello",
        headers=[("ce_id", b"1")],
        errors={
            "topic": "t.query-purchase",
            "partition": "2",
            "offset": str(100 + offset),
            "timestamp": "0",
            "reason": reason,
            "message": f"detail {offset}",
        },
    )
    return replace(found, **changes)


def died(offset: int) -> datetime:
    return datetime.fromtimestamp(DIED_MS / 1000 + offset, UTC)
