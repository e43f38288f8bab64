"""What every online store does; inherited by the tests of each."""

from __future__ import annotations

from dataclasses import replace

from features.online import format as feast_format
from features.online.store import OnlineStore, Ref, Replacement
from features.views import PRODUCT_COMPLEMENTS, PRODUCT_INTENTS, QUERY_INTENTS, View

UMBRELLA = Ref(QUERY_INTENTS, "umbrella")
TENT = Ref(QUERY_INTENTS, "tent")
V1, V2 = b"version 1", b"version 2"


def replacement(ref: Ref, *, expected: bytes | None, version: bytes, model: bytes = b"m") -> Replacement:
    fields = {feast_format.timestamp_field(ref.view): version, feast_format.field(ref.view, "model"): model}
    return Replacement(ref, expected, fields)


def model(view: View) -> bytes:
    return feast_format.field(view, "model")


class StoreContract:
    async def test_what_was_never_written_has_no_version_and_no_fields(self, store: OnlineStore) -> None:
        (row,) = await store.read([UMBRELLA])
        assert (row.version, row.fields) == (None, {})

    async def test_rows_come_in_the_order_asked(self, store: OnlineStore) -> None:
        await store.replace([replacement(TENT, expected=None, version=V1)])
        versions = [row.version for row in await store.read([UMBRELLA, TENT, UMBRELLA])]
        assert versions == [None, V1, None]

    async def test_a_row_with_the_expected_version_is_replaced(self, store: OnlineStore) -> None:
        assert await store.replace([replacement(TENT, expected=None, version=V1)]) == [True]
        assert await store.replace([replacement(TENT, expected=V1, version=V2, model=b"new")]) == [True]
        (row,) = await store.read([TENT])
        assert (row.version, row.fields) == (V2, {model(QUERY_INTENTS): b"new"})

    async def test_a_row_with_another_version_is_left_alone(self, store: OnlineStore) -> None:
        await store.replace([replacement(TENT, expected=None, version=V1)])
        for stale in (None, V2):
            assert await store.replace([replacement(TENT, expected=stale, version=V2)]) == [False]
        assert (await store.read([TENT]))[0].version == V1

    async def test_one_refused_row_does_not_hinder_the_others(self, store: OnlineStore) -> None:
        await store.replace([replacement(TENT, expected=None, version=V1)])
        stale, good = replacement(TENT, expected=None, version=V2), replacement(UMBRELLA, expected=None, version=V1)
        assert await store.replace([stale, good]) == [False, True]

    async def test_a_row_written_anew_keeps_nothing_of_what_was_there(self, store: OnlineStore) -> None:
        retracted = feast_format.retracted_field(QUERY_INTENTS)
        first = replacement(TENT, expected=None, version=V1)
        await store.replace([replace(first, fields={**first.fields, retracted: b"{}"})])
        anew = replace(replacement(TENT, expected=V1, version=V2, model=b"new"), anew=True)
        assert await store.replace([anew]) == [True]
        (row,) = await store.read([TENT])
        assert (row.version, row.fields) == (V2, {model(QUERY_INTENTS): b"new"})

    async def test_a_row_that_somebody_else_wrote_meanwhile_is_not_written_anew(self, store: OnlineStore) -> None:
        await store.replace([replacement(TENT, expected=None, version=V1)])
        for stale in (None, V2):
            anew = replace(replacement(TENT, expected=stale, version=V2), anew=True)
            assert await store.replace([anew]) == [False]
        assert (await store.read([TENT]))[0].version == V1

    async def test_views_of_one_entity_do_not_touch_each_other(self, store: OnlineStore) -> None:
        intents, complements = Ref(PRODUCT_INTENTS, "B01"), Ref(PRODUCT_COMPLEMENTS, "B01")
        await store.replace([replacement(intents, expected=None, version=V1, model=b"a")])
        assert await store.replace([replacement(complements, expected=None, version=V2, model=b"b")]) == [True]
        found = await store.read([intents, complements])
        assert [row.version for row in found] == [V1, V2]
        assert [row.fields for row in found] == [{model(PRODUCT_INTENTS): b"a"}, {model(PRODUCT_COMPLEMENTS): b"b"}]

    async def test_only_the_features_named_are_read(self, store: OnlineStore) -> None:
        await store.replace([replacement(TENT, expected=None, version=V1)])
        (row,) = await store.read([TENT], {QUERY_INTENTS: ["intents"]})
        assert (row.version, row.fields) == (V1, {})

    async def test_a_store_is_not_applied_until_somebody_says_so(self, store: OnlineStore) -> None:
        assert (await store.read_applied([TENT], {}))[0] is None
        await store.mark_applied("shape")
        assert (await store.read_applied([TENT], {}))[0] == "shape"

    async def test_only_a_mark_that_is_there_is_renewed(self, store: OnlineStore) -> None:
        assert not await store.renew_mark("shape")
        assert (await store.read_applied([], {}))[0] is None
        await store.mark_applied("shape")
        assert await store.renew_mark("another shape")
        assert (await store.read_applied([], {}))[0] == "another shape"

    async def test_a_store_keeps_the_name_of_its_life(self, store: OnlineStore) -> None:
        life = await store.life()
        assert (life != "", await store.life()) == (True, life)

    async def test_nothing_to_replace_is_nothing_done(self, store: OnlineStore) -> None:
        assert await store.replace([]) == []

    async def test_any_text_is_a_key(self, store: OnlineStore) -> None:
        for key in ("ä ö", "日本 傘", "a/b", "🙂", "x" * 512):
            ref = Ref(QUERY_INTENTS, key)
            assert await store.replace([replacement(ref, expected=None, version=V1)]) == [True]
            assert (await store.read([ref]))[0].version == V1
