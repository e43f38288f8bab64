"""The evidence of an intent, and ages, in words."""

from __future__ import annotations

from collections.abc import Sequence


def because(query: str | None, titles: Sequence[str], support: int) -> str:
    """What shoppers did, as one sentence: "4 sessions searched “rain gear” and bought “Windproof umbrella”."."""
    bought = " together with ".join(f"“{title}”" for title in titles)
    if support < 1:
        return f"A reader asked about {bought or f'“{query}”'}; no purchase is behind it yet."
    sessions = "1 session" if support == 1 else f"{support:,} sessions"
    if query is None:
        return f"{sessions} bought {bought}."
    return f"{sessions} searched “{query}” and bought {bought or 'something'}."


_UNITS = ((86_400.0, "day"), (3_600.0, "hour"), (60.0, "minute"), (1.0, "second"))


def old(age_s: float) -> str:
    """An age for people: "3 minutes old"."""
    for unit_s, name in _UNITS:
        if age_s >= unit_s:
            count = int(age_s // unit_s)
            return f"{count:,} {name}{'' if count == 1 else 's'} old"
    return "just made"
