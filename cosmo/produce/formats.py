"""The input formats by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import cast

from cosmo.produce.lines import Line
from cosmo.produce.native import native
from cosmo.produce.outcomes import Event, Outcome
from cosmo.produce.ubi.actions import Actions
from cosmo.produce.ubi.bulk import opensearch_ubi
from cosmo.produce.ubi.log import ubi
from cosmo.runtime.errors import CosmoError
from schemas.records import BY_TOPIC
from streams import topics


class Format(StrEnum):
    """What the lines are."""

    NATIVE = "native"
    """The topic's own records, one JSON object a line."""
    UBI = "ubi"
    """User Behavior Insights 1.3: queries and events, one JSON object a line, in any order."""
    OPENSEARCH_UBI = "opensearch-ubi"
    """The same in OpenSearch's bulk form: an action line, then the document; or hits with _source."""


def outcomes(
    lines: Iterable[Line],
    *,
    topic: str,
    form: Format,
    actions: Actions | None = None,
    products: Iterable[Line] = (),
) -> Iterator[Outcome]:
    """One outcome for each line. ``actions`` and ``products`` are for UBI.

    Raises CosmoError at once for a format that the topic cannot have.
    """
    if form is Format.NATIVE:
        return native(lines, cast("type[Event]", BY_TOPIC[topic]))
    if topic != topics.QUERY_PURCHASE.name:
        raise CosmoError(
            f"UBI has no orders, so nothing of it belongs in {topic}.",
            advice=f"Send it to {topics.QUERY_PURCHASE.name}, or write orders in the native format.",
        )
    read = ubi if form is Format.UBI else opensearch_ubi
    return read(lines, actions or Actions(), products)
