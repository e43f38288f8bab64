from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmo.demo.baskets import _read
from cosmo.demo.titles import product_name, readable, readable_size, title, titled
from cosmo.demo.words import words

PLAIN = frozenset((Path(__file__).parent / "plain_words.txt").read_text().split())
"""Words of the catalogue that were looked at one by one and found to need no expansion."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SOFT DRINKS 12/18&15PK CAN CAR", "Soft Drinks, 12, 15 & 18 Pack Cans, Carbonated"),
        ("SFT DRNK 2 LITER BTL CARB INCL", "Soft Drinks, 2 Liter Bottle, Carbonated"),
        ("FLUID MILK WHITE ONLY", "Fluid Milk, White"),
        ("FRZN BAGGED VEGETABLES - PLAIN", "Frozen Bagged Vegetables, Plain"),
        ("FRZN BREADED PREPARED CHICK", "Frozen Breaded Prepared Chicken"),
        ("POTATOES RUSSET (BULK&BAG)", "Potatoes Russet"),
        ("CANDY BARS (MULTI PACK)", "Candy Bars, Multi Pack"),
        ("CANDY BARS (SINGLES)(INCLUDING", "Candy Bars, Singles"),
        ("CANNED CAT FOOD (9 LIVES/FRISK", "Canned Cat Food"),
        ("BEERALEMALT LIQUORS", "Beer, Ale & Malt Liquors"),
        ("PREPARED BEANS - BAKED W/PORK", "Prepared Beans, Baked with Pork"),
        ("NATURAL CHEESE EXACT WT CHUNKS", "Natural Cheese Exact Weight Chunks"),
        ("PIZZA/TRADITIONAL", "Pizza, Traditional"),
        ("TORTILLA/NACHO CHIPS", "Tortilla & Nacho Chips"),
        ("MEAT: TURKEY BULK", "Deli Meat, Turkey Bulk"),
        ("PREP FD: SIDE DISHES (HOT)", "Prepared Food, Side Dishes, Hot"),
        ("SW GDS:DONUTS", "Sweet Goods, Donuts"),
        ("SEAFOOD-FRZ-RAW FILLETS", "Frozen Seafood, Raw Fillets"),
        ("COUGH SYRP/LOZNG-DRP/XPCTRNT", "Cough Syrup, Lozenges, Drops & Expectorants"),
        ("FEM. HYGN. TAMPONS", "Feminine Hygiene, Tampons"),
        ("BBQ SAUCE", "BBQ Sauce"),
        ("FRZN SS PREMIUM ENTREES/DNRS/N", "Frozen Single-Serve Premium Entrees & Dinners"),
        ("YOGURT MULTI-PACKS", "Yogurt Multi-Packs"),
        ("SPORTS MEMORABLILIA", "Sports Memorabilia"),
        ("FRZN ZZQX", "Frozen Zzqx"),
    ],
)
def test_abbreviations_become_words_and_unknown_ones_stay(text: str, expected: str) -> None:
    assert titled(readable(text)) == expected


@pytest.mark.parametrize(
    ("product_type", "category", "expected"),
    [
        ("PREMIUM", "BACON", "premium bacon"),
        ("PREMIUM", "ICE CREAM/MILK/SHERBTS", "premium ice cream"),
        ("MAINSTREAM", "PASTA SAUCE", "mainstream pasta sauce"),
        ("RIBS", "PORK", "pork ribs"),
        ("CORN", "VEGETABLES - SHELF STABLE", "shelf-stable corn"),
        ("CORN YELLOW", "CORN", "corn yellow"),
        ("COVERGIRL", "MAKEUP AND TREATMENT", "covergirl makeup"),
        ("MISCELLANEOUS", "LUNCHMEAT", "lunchmeat"),
    ],
)
def test_a_type_that_names_nothing_by_itself_is_joined_by_its_category(
    product_type: str, category: str, expected: str
) -> None:
    assert product_name(product_type, category) == expected


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("16 OZ", "16 oz"),
        ("12 PK/12 OZ", "12 pack, 12 oz"),
        ("1/2 GAL", "1/2 gallon"),
        ("P    12 OZ", "12 oz"),
        ("2 L", "2 liter"),
        ("30 CT/30 GAL", "30 count, 30 gallon"),
        ("9 1/2 OZ", "9 1/2 oz"),
        ("522771 CTN", ""),
        (".5 L", ".5 liter"),
    ],
)
def test_sizes_are_read_out_and_shop_numbers_left_out(size: str, expected: str) -> None:
    assert readable_size(size) == expected


def test_a_title_says_name_size_and_brand() -> None:
    assert title("cheese, natural bulk", size="8 OZ", private=True) == "Cheese, Natural Bulk, 8 oz, Store Brand"
    assert title("bananas") == "Bananas"


def test_at_least_95_of_100_words_of_the_sold_catalogue_are_plain_or_made_plain() -> None:
    table, seen = words(), Counter[str]()
    sold, catalogue = _read()
    for texts in (
        catalogue.join(sold, on="product_id", how="semi").select("product_type", "product_category").iter_rows()
    ):
        seen.update(word for text in texts for word in re.findall(r"[A-Z][A-Z']*", text))
    known = PLAIN | table.words.keys() | table.acronyms | table.stumps.keys()
    covered = sum(count for word, count in seen.items() if word in known)
    assert covered / seen.total() >= 0.95


def test_no_table_expands_a_word_that_is_plain() -> None:
    assert not PLAIN & words().stumps.keys()


@given(st.text(alphabet=st.sampled_from("ABCDEZ /&-:().,'0123456789"), max_size=40))
def test_any_text_is_read_without_failing_and_the_result_has_no_loose_ends(text: str) -> None:
    found = readable(text)
    assert found == " ".join(found.split())
    assert not found.startswith((",", "&"))
    assert not found.endswith((",", "&"))
