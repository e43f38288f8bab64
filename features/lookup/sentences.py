"""The evidence of an intent, and ages, in words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime


def because(query: str | None, titles: Sequence[str], support: int, answered: datetime) -> str:
    """What shoppers had done when the model was asked, as one sentence: "4 sessions had searched “rain gear” and bought
    “Windproof umbrella” when the model was asked; it answered on 2026-03-04.".

    The count is that of then and grows no more; ``answered`` is the model's answer, a day in UTC.
    """
    bought = " together with ".join(f"“{title}”" for title in titles)
    then = f"when the model was asked; it answered on {answered:%Y-%m-%d}"
    if support < 1:
        return f"A reader had asked about {bought or f'“{query}”'}, and no purchase was behind it {then}."
    sessions = "1 session" if support == 1 else f"{support:,} sessions"
    if query is None:
        return f"{sessions} had bought {bought} {then}."
    return f"{sessions} had searched “{query}” and bought {bought or 'something'} {then}."


_UNITS = ((86_400.0, "day"), (3_600.0, "hour"), (60.0, "minute"), (1.0, "second"))


def old(age_s: float) -> str:
    """An age for people: "3 minutes old"."""
    for unit_s, name in _UNITS:
        if age_s >= unit_s:
            count = int(age_s // unit_s)
            return f"{count:,} {name}{'' if count == 1 else 's'} old"
    return "just made"
