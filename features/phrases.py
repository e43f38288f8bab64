"""An intent in words, such as "used for biking": what readers show."""

from __future__ import annotations

from functools import cache

from inference.relations import all_relations


def phrase(relation: str, tail: str) -> str:
    """The relation's first surface pattern, completed by the tail."""
    return f"{_lead_in(relation)} {tail}"


@cache
def _lead_in(relation: str) -> str:
    known = all_relations().get(relation)
    if known is None:  # named by a newer inference process than this one
        return relation.replace("_", " ")
    return known.patterns[0].partition("<")[0].strip()
