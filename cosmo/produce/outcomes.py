"""What becomes of a line: it is an event to send, it is refused, or it is passed over for a named cause. Always one of
the three, so that a summary accounts for every line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from cosmo.produce.lines import Line
from cosmo.runtime.errors import CosmoError
from schemas.errors import Reason
from schemas.records import CoPurchase, QueryPurchase

Event: TypeAlias = QueryPurchase | CoPurchase
Headers: TypeAlias = Sequence[tuple[str, bytes]]


class LineReason(StrEnum):
    """Why a line was refused, beyond the rules on values in ``schemas.validate.RULES``; the value is what is counted.

    ``LINE_REASONS`` tells what each means.
    """

    LINE_TOO_LONG = "line_too_long"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    DUPLICATE_KEY = "duplicate_key"
    NOT_AN_OBJECT = "not_an_object"
    UNKNOWN_FIELD = "unknown_field"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    BAD_TIME = "bad_time"
    BAD_CLOUD_EVENT = "bad_cloud_event"

    NEITHER_QUERY_NOR_EVENT = "neither_query_nor_event"
    NOT_A_PRODUCT = "not_a_product"
    QUERY_NOT_FOUND = "query_not_found"
    CONFLICTING_QUERY = "conflicting_query"

    NO_ACTION_LINE = "no_action_line"
    NO_DOCUMENT = "no_document"
    NOT_AN_INSERT = "not_an_insert"
    OTHER_INDEX = "other_index"

    BROKER_REFUSED = "broker_refused"
    NOT_CONFIRMED = "not_confirmed"


LINE_REASONS: Mapping[LineReason, str] = {
    LineReason.LINE_TOO_LONG: "The line is longer than 4 MiB.",
    LineReason.NOT_UTF8: "The line is not UTF-8.",
    LineReason.NOT_JSON: "The line is not JSON; NaN and Infinity are not JSON either.",
    LineReason.DUPLICATE_KEY: "An object has the same key twice; which of the two is meant cannot be known.",
    LineReason.NOT_AN_OBJECT: "The line is JSON, but not an object.",
    LineReason.UNKNOWN_FIELD: "A field that the record does not have, often misspelt. Put more into attributes.",
    LineReason.MISSING_FIELD: "A field that is needed is not there.",
    LineReason.WRONG_TYPE: "A field is of another type; nothing is converted, so that nothing is guessed.",
    LineReason.BAD_TIME: "An instant is neither ISO 8601 with a time zone nor whole milliseconds since 1970.",
    LineReason.BAD_CLOUD_EVENT: "A CloudEvents envelope lacks an attribute that it must have, or has a bad one.",
    LineReason.NEITHER_QUERY_NOR_EVENT: "A UBI line with neither action_name nor user_query.",
    LineReason.NOT_A_PRODUCT: "The UBI event is about a user, post, comment or video.",
    LineReason.QUERY_NOT_FOUND: "No line of the input has the event's query_id, and it has no user_query itself.",
    LineReason.CONFLICTING_QUERY: "A query_id was given to two different queries; the first one stays.",
    LineReason.NO_ACTION_LINE: "A document of the bulk form without its action line before it.",
    LineReason.NO_DOCUMENT: "An action line of the bulk form without its document after it.",
    LineReason.NOT_AN_INSERT: "An update or a delete of the bulk form; only index and create are events.",
    LineReason.OTHER_INDEX: "The index is neither one of queries nor one of events, by its name.",
    LineReason.BROKER_REFUSED: "The broker does not take this record.",
    LineReason.NOT_CONFIRMED: "The broker has not confirmed this record; it may have arrived. Send it again.",
}


class Passed(StrEnum):
    """Why a line is neither sent nor refused."""

    BLANK = "blank"
    QUERY = "query"
    PRODUCT = "product"
    ACTION_LINE = "action_line"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Sendable:
    """An event read from a line, not yet held against the rules on values."""

    line: Line
    record: Event
    key: bytes | None = None
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that is not sent. ``reason`` is for counting, ``detail`` names the field and what is wrong with it."""

    line: Line
    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.line}: {self.reason}: {self.detail}"


@dataclass(frozen=True, slots=True)
class PassedOver:
    line: Line
    why: Passed


Outcome: TypeAlias = Sendable | Refusal | PassedOver


class LineRefused(CosmoError):  # noqa: N818 - an outcome, named by what happened
    """Raised while a line is read, and turned into its `Refusal` by whoever holds the line."""

    def __init__(self, reason: LineReason | Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
