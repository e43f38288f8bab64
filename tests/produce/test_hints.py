"""An input of which no line could be used is told what it seems to be, by one sentence that helps."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from cosmo.produce.formats import Format, outcomes
from cosmo.produce.hints import empty, hints
from cosmo.produce.lines import Line, numbered, read
from cosmo.produce.sources import Sources
from tests.produce.examples import order, search, text, ubi_event, ubi_query


def told(lines: Any, topic: str = "query-purchase", form: Format = Format.NATIVE) -> tuple[str, ...]:
    sources = Sources()

    def seen() -> Any:
        for line in lines:
            sources.read(line)
            yield line

    for outcome in outcomes(seen(), topic=topic, form=form):
        sources.took(outcome)
    return hints(sources, topic=topic, form=form)


def of(path: Path, content: bytes, **more: Any) -> tuple[str, ...]:
    path.write_bytes(content)
    return told(read(str(path)), **more)


ROWS = b"\n".join(text(search(), search()))
FILES: dict[str, tuple[bytes, str]] = {
    "a table": (b"event_id,query,action\ne-1,tent,CLICK\n", "a table (CSV); write it out as one JSON object a line"),
    "a table with quotes": (b'"event_id";"query"\n"e-1";"tent"\n', "a table (CSV)"),
    "a table with tabs": (b"event_id\tquery\n", "a table (CSV)"),
    "an array": (json.dumps([search()]).encode(), "one JSON array; give the output of `jq -c '.[]' "),
    "an array over several lines": (json.dumps([search()], indent=2).encode(), "one JSON array"),
    "objects over several lines": (json.dumps(search(), indent=2).encode(), "several lines; give the output of `jq -c"),
    "UTF-16": (ROWS.decode().encode("utf-16"), "UTF-16; give the output of `iconv -f UTF-16 -t UTF-8 "),
    "UTF-16 without its mark": (ROWS.decode().encode("utf-16-le"), "`iconv -f UTF-16LE -t UTF-8 "),
    "UTF-16 the other way round": (ROWS.decode().encode("utf-16-be"), "`iconv -f UTF-16BE -t UTF-8 "),
    "XML": (b"<events>\n</events>\n", "XML or HTML"),
    "zstd": (b"\x28\xb5\x2f\xfd rest", "packed by zstd; give the output of `zstdcat "),
    "Parquet": (b"PAR1 rest", "Parquet"),
    "Avro": (b"Obj\x01 rest", "Avro"),
    "a table packed by gzip": (gzip.compress(b"event_id,query\n"), "a table (CSV)"),
    "orders": (text(order())[0], "orders; send it with `cosmo produce co-purchase "),
    "UBI": (text(ubi_query())[0], "--format ubi`"),
    "UBI in bulk": (b"\n".join(text({"index": {"_index": "ubi_events"}}, ubi_event())), "--format opensearch-ubi`"),
    "hits of an export": (text({"_index": "ubi_events", "_source": ubi_event()})[0], "--format opensearch-ubi`"),
    "UBI in an envelope": (
        text({"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": ubi_event()})[0], "--format ubi`",
    ),
    "prose": (b"hello world\n", "could be used; docs/producers.md shows what the lines of query-purchase are"),
    "blank lines": (b"\n \n", "has only blank lines"),
}  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
def test_a_file_of_which_nothing_could_be_used_is_told_what_it_seems_to_be(kind: str, tmp_path: Path) -> None:
    content, sentence = FILES[kind]
    path = tmp_path / "some file"
    (hint,) = of(path, content)
    assert sentence in hint
    assert str(path) in hint
    assert hint.endswith(".")
    assert not hint.endswith("..")


OTHER_FORMATS = [
    (Format.UBI, search(), "events of searches; send it with `cosmo produce query-purchase FILE`"),
    (Format.UBI, order(), "orders; send it with `cosmo produce co-purchase FILE`"),
    (Format.OPENSEARCH_UBI, ubi_event(), "UBI; send it with `cosmo produce query-purchase FILE --format ubi`"),
]


@pytest.mark.parametrize(("form", "line", "sentence"), OTHER_FORMATS)
def test_the_wrong_format_is_told_the_right_one(form: Format, line: Any, sentence: str) -> None:
    assert told(numbered(text(line), "-"), form=form) == (f"Standard input seems to be {sentence}.",)


def test_an_input_that_is_what_it_should_be_or_of_which_a_line_was_of_use_is_told_nothing() -> None:
    assert told(numbered(text(search(action="HOVER")))) == ()
    assert told(numbered([b"event_id,query", *text(search())])) == ()
    assert told(numbered(text(ubi_event())), form=Format.UBI) == ()
    assert told(numbered(text(ubi_query())), form=Format.UBI) == ()


def test_each_input_is_judged_by_itself() -> None:
    lines: list[Line] = [*numbered([b"a,b"], "table"), *numbered(text(search()), "events"), *numbered([b"<a>"], "page")]
    assert [hint.split()[0] for hint in told(lines)] == ["table", "page"]


def test_an_input_that_gave_no_line_is_named_once() -> None:
    assert empty(["a", "b", "b", "-"], {"a"}) == ["b is empty.", "Standard input is empty."]
