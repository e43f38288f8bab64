"""An Avro object container around bytes that are already encoded, for a native reader to take in as columns."""

from __future__ import annotations

import orjson

from schemas.avsc import AvroSchema

_SYNC = bytes(16)
_MAGIC = b"Obj\x01"


def header(schema: AvroSchema) -> bytes:
    """What stands before the blocks of a file whose records were written with ``schema`` (parsed JSON)."""
    meta = {b"avro.schema": orjson.dumps(schema), b"avro.codec": b"null"}
    entries = b"".join(_bytes(key) + _bytes(value) for key, value in meta.items())
    return _MAGIC + _long(len(meta)) + entries + _long(0) + _SYNC


def container(head: bytes, count: int, encoded: bytes) -> bytes:
    """A file of one block: ``count`` records, encoded one after another."""
    return b"".join((head, _long(count), _long(len(encoded)), encoded, _SYNC)) if count else head


def _bytes(data: bytes) -> bytes:
    return _long(len(data)) + data


def _long(number: int) -> bytes:
    """Zigzag varint of a number that is not negative."""
    number <<= 1
    out = bytearray()
    while number > 0x7F:
        out.append((number & 0x7F) | 0x80)
        number >>= 7
    return bytes([*out, number])
