"""Confluent framing: which schema a value was written with, and where its Avro body begins.

A schema is named by a number, ``0x00`` and 4 bytes, big-endian, or by a GUID, ``0x01`` and 16 bytes.
Either stands before the body, or alone in the header ``__value_schema_id``; the header wins, as in Confluent's clients.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TypeAlias
from uuid import UUID

from schemas.errors import Reason, Undecodable

VALUE_SCHEMA_HEADER = "__value_schema_id"
ID_MAGIC, GUID_MAGIC = 0x00, 0x01
ID_FRAME_BYTES = 1 + 4
GUID_FRAME_BYTES = 1 + 16

SchemaKey: TypeAlias = int | UUID
Headers: TypeAlias = Sequence[tuple[str, bytes | None]]

_ID_FRAME = struct.Struct(">BI")


def id_frame(schema_id: int) -> bytes:
    """What stands before a body written with the schema of this number."""
    return _ID_FRAME.pack(ID_MAGIC, schema_id)


def guid_header(guid: UUID) -> tuple[str, bytes]:
    """The header of a value that is a bare body, written with the schema of this GUID."""
    return VALUE_SCHEMA_HEADER, bytes((GUID_MAGIC,)) + guid.bytes


def split_frame(value: bytes | None, headers: Headers = ()) -> tuple[SchemaKey, int]:
    """The schema's key and the offset at which the body begins, without looking into the body.

    Raises Undecodable: null_value, empty_value, wrong_magic, truncated_frame, bad_schema_header.
    """
    if value is None:
        raise Undecodable(Reason.NULL_VALUE, "the record has no value")
    if not value:
        raise Undecodable(Reason.EMPTY_VALUE, "the value is 0 bytes long")
    for name, content in headers:
        if name == VALUE_SCHEMA_HEADER and content is not None:
            return _from_header(content), 0
    return _from_prefix(value)


def _from_prefix(value: bytes) -> tuple[SchemaKey, int]:
    magic = value[0]
    if magic == ID_MAGIC and len(value) >= ID_FRAME_BYTES:
        return int.from_bytes(value[1:ID_FRAME_BYTES], "big"), ID_FRAME_BYTES
    if magic == GUID_MAGIC and len(value) >= GUID_FRAME_BYTES:
        return UUID(bytes=bytes(value[1:GUID_FRAME_BYTES])), GUID_FRAME_BYTES
    if magic in {ID_MAGIC, GUID_MAGIC}:
        raise Undecodable(Reason.TRUNCATED_FRAME, f"{len(value)} bytes are too few for a schema id")
    raise Undecodable(Reason.WRONG_MAGIC, f"the first byte is 0x{magic:02x}, not 0x00 (schema id) or 0x01 (GUID)")


def _from_header(content: bytes) -> SchemaKey:
    try:
        key, end = _from_prefix(content) if content else (0, -1)
    except Undecodable as error:
        raise Undecodable(Reason.BAD_SCHEMA_HEADER, f"{VALUE_SCHEMA_HEADER}: {error.detail}") from error
    if end != len(content):
        raise Undecodable(Reason.BAD_SCHEMA_HEADER, f"{VALUE_SCHEMA_HEADER} is {len(content)} bytes long, not 5 or 17")
    return key
