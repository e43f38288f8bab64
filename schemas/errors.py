"""Why a record could not be used, and what can go wrong between us and the schema registry.

Three outcomes are kept apart, because each asks for something else: a record that is bad stays bad and goes to the
dead letters (``BadRecord``); a registry that does not answer is asked again later (``RegistryUnreachable``); a contract
that is missing or broken stops the process until somebody acts (the rest).
"""

from __future__ import annotations

from enum import StrEnum

from cosmo.runtime.errors import CosmoError


class Reason(StrEnum):
    """Why one record was turned away; the value is what dead letters and metrics carry.

    The first group is about bytes (``UNDECODABLE`` tells what each means), the second about values
    (``schemas.validate.RULES`` tells the rule that was broken).
    """

    NULL_VALUE = "null_value"
    EMPTY_VALUE = "empty_value"
    WRONG_MAGIC = "wrong_magic"
    TRUNCATED_FRAME = "truncated_frame"
    BAD_SCHEMA_HEADER = "bad_schema_header"
    UNKNOWN_SCHEMA = "unknown_schema"
    SCHEMA_NOT_LOOKED_UP = "schema_not_looked_up"
    SCHEMA_MISMATCH = "schema_mismatch"
    TRUNCATED = "truncated"
    TRAILING_BYTES = "trailing_bytes"
    INVALID_UTF8 = "invalid_utf8"
    DAMAGED = "damaged"
    TOO_MANY_VALUES = "too_many_values"
    TIME_OUT_OF_RANGE = "time_out_of_range"

    LONE_SURROGATE = "lone_surrogate"
    EMPTY_EVENT_ID = "empty_event_id"
    EMPTY_SESSION_ID = "empty_session_id"
    EMPTY_ORDER_ID = "empty_order_id"
    EMPTY_PRODUCT_ID = "empty_product_id"
    ID_TOO_LONG = "id_too_long"
    CONTROL_CHARACTERS = "control_characters"
    EMPTY_QUERY = "empty_query"
    QUERY_TOO_LONG = "query_too_long"
    UNKNOWN_ACTION = "unknown_action"
    NO_TITLE = "no_title"
    TITLE_TOO_LONG = "title_too_long"
    LABEL_TOO_LONG = "label_too_long"
    TOO_FEW_ITEMS = "too_few_items"
    TOO_MANY_ITEMS = "too_many_items"
    TIME_TOO_OLD = "time_too_old"
    TIME_IN_FUTURE = "time_in_future"


UNDECODABLE: dict[Reason, str] = {
    Reason.NULL_VALUE: "The record has no value (a tombstone), on a topic where that means nothing.",
    Reason.EMPTY_VALUE: "The value has no bytes.",
    Reason.WRONG_MAGIC: "The first byte is not that of Confluent framing (0 or 1): JSON or plain text was sent.",
    Reason.TRUNCATED_FRAME: "The value ends within the schema id.",
    Reason.BAD_SCHEMA_HEADER: "The header __value_schema_id is not a magic byte and a schema id.",
    Reason.UNKNOWN_SCHEMA: "The registry knows no schema with this id.",
    Reason.SCHEMA_NOT_LOOKED_UP: "So many unknown schema ids came at once that this one was not asked for. Replay it.",
    Reason.SCHEMA_MISMATCH: "The schema it was written with cannot be read as this topic's.",
    Reason.TRUNCATED: "The Avro body ends too early.",
    Reason.TRAILING_BYTES: "Bytes follow the end of the Avro body.",
    Reason.INVALID_UTF8: "A string is not UTF-8.",
    Reason.DAMAGED: "The Avro body holds what no encoder writes, such as an enum index out of range.",
    Reason.TOO_MANY_VALUES: "Its arrays and maps announce more than 100,000 items and entries in all.",
    Reason.TIME_OUT_OF_RANGE: "An instant before year 1 or after year 9999, often microseconds sent as milliseconds.",
}
"""What each reason that is about bytes means; a lone surrogate counts as a value, though bytes can hold one too."""


class SchemaFailure(CosmoError):  # noqa: N818 - its children are outcomes, named by what happened
    """Root of what this package raises."""


class BadRecord(SchemaFailure):
    """One record cannot be used, now or later. ``reason`` is for counting, ``detail`` for whoever sent it."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Undecodable(BadRecord):
    """The bytes are not a record of this topic."""


class Refused(BadRecord):
    """The record can be read, and breaks a rule of the input contract."""


class Unencodable(SchemaFailure):
    """A record of ours does not fit its schema: a bug, or text from outside that was not checked."""


class RegistryUnreachable(SchemaFailure):
    """The registry did not answer, or said that it cannot now. Says nothing about the record that asked."""

    retriable = True


class RegistryRefused(SchemaFailure):
    """The registry answered, and not as a schema registry that we may use: wrong address, credentials or level."""


class NotRegistered(SchemaFailure):
    """Our own schema is not in the registry; workers look up, and never register by themselves."""


class Incompatible(SchemaFailure):
    """Two versions of a schema cannot read each other as the topic's level demands."""
