"""Every reason for which a line or a record is turned away, in words."""

from __future__ import annotations

from collections.abc import Mapping

from cosmo.produce.outcomes import LINE_REASONS
from schemas.errors import UNDECODABLE
from schemas.validate import RULES

MEANINGS: Mapping[str, str] = {
    **{str(reason): text for reason, text in LINE_REASONS.items()},
    **{str(reason): text for reason, text in UNDECODABLE.items()},
    **{str(rule.reason): rule.text for rule in RULES},
}


def meaning(reason: str) -> str:
    """What the reason means, or which rule it is about; empty for one of another version."""
    return MEANINGS.get(reason, "")
