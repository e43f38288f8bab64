"""What is asked about: pairs from the sampler, and readers' requests in the same form."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cosmo.runtime.errors import CosmoError
from inference import relations, templates
from inference.asked import Prompt
from inference.ids import request_pair_id
from schemas.records import BehaviorPair, HeadKind, IntentRequest, PairKind, SampleReason

_PRODUCTS: Mapping[PairKind, int] = MappingProxyType(
    {PairKind.SEARCH_BUY: 1, PairKind.CO_BUY: 2, PairKind.SEARCH: 0}
)  # fmt: skip


class UnusablePair(CosmoError):  # noqa: N818 - an outcome for a record, named by what it says
    """A pair that decodes and yet cannot be asked about. ``reason`` is for counting."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def pair_of(request: IntentRequest) -> BehaviorPair:
    """A reader's request as a pair. Nobody bought anything, so its support is 0 and its figures are unknown."""
    return BehaviorPair(
        pair_id=request_pair_id(request),
        kind=request.kind,
        query=request.query,
        products=request.products,
        locale=request.locale,
        event_time=request.requested_time,
        sampled_time=request.requested_time,
        support=0,
        reason=SampleReason.UNKNOWN,
        priority=0.0,
    )


def check(pair: BehaviorPair) -> None:
    """Raises UnusablePair for a pair that does not hold what its kind promises."""
    wanted = _PRODUCTS.get(pair.kind)
    if wanted is None:
        raise UnusablePair("unknown_pair_kind", f"pairs of kind {pair.kind} are not known here")
    if len(pair.products) != wanted:
        raise UnusablePair("wrong_products", f"{pair.kind} has {wanted} products, not {len(pair.products)}")
    if not pair.pair_id:
        raise UnusablePair("empty_pair_id", "the pair has no id")
    if pair.kind is not PairKind.CO_BUY and not (pair.query or "").strip():
        raise UnusablePair("empty_query", f"{pair.kind} needs a query")
    if any(not (product.product_id and product.title.strip()) for product in pair.products):
        raise UnusablePair("empty_product", "a product without id or title")


def prompts_of(pair: BehaviorPair, count: int) -> tuple[Prompt, ...]:
    """At most ``count`` prompts, each for another relation; always the same for the same pair."""
    chosen = relations.choose(pair, count)
    return tuple(templates.choose(pair, relation).prompt(pair) for relation in chosen)


def head_of(pair: BehaviorPair) -> tuple[HeadKind, str]:
    """What the pair's intents explain: its query, or both of its products together."""
    if pair.kind is PairKind.CO_BUY:
        return HeadKind.PRODUCT_PAIR, "\n".join(sorted(product.product_id for product in pair.products))
    return HeadKind.QUERY, pair.query or ""
