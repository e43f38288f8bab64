"""What the model's answers came to, from the pair to the feature, compared with the pure functions on the same pair."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import orjson

from features.entities import slot_of
from features.materialize.handler import by_entity, merge_rule
from features.merge import EntityState, evidence_key, merge
from features.online import format as feast_format
from features.online.redis_store import connect
from features.online.store import Ref, Stored
from features.project import project_name
from features.rows import row_of
from features.store import opened
from features.views import VIEWS
from inference.entities import entities_of
from inference.handler import sampling_params
from inference.judged import Judged, judge
from inference.pairs import prompts_of
from inference.reply import answers_of
from schemas.records import BehaviorPair, EntityIntent, Intent, RejectedIntent
from streams import topics
from tests.faults.account import Account
from tests.faults.expected import level
from tests.support.scripted_model import Script, complete


@dataclass
class Explained:
    """Checks of what infer and materialize made of the pairs; each returns its differences, one line each."""

    account: Account

    @property
    def checks(self) -> Sequence[Callable[[], list[str]]]:
        """All of them."""
        return (
            self.every_qualifying_pair_has_its_intents,
            self.every_intent_is_what_the_model_says_of_a_released_pair,
            self.every_entity_was_told_of_its_intents_and_of_nothing_else,
            self.features_are_the_merge_of_the_log_and_nothing_else,
            self.every_intent_of_a_qualifying_pair_is_read_through_feast,
        )

    def every_qualifying_pair_has_its_intents(self) -> list[str]:
        """With support of its final level; what was rejected is among the rejected, for its reason."""
        differences: list[str] = []
        refused = {(one.pair_id, one.relation, one.reason) for one in self.rejected}
        for pair in self.account.expected.pairs.values():
            judged = self.judged(pair)
            for intent in judged.accepted:
                found = self.intents.get(evidence_key(intent))
                if found is None:
                    differences.append(f"{_of(pair)} lacks: {intent.relation} {intent.tail}")
                elif level(found.support) != level(pair.support):
                    differences.append(f"{_of(pair)} has evidence of {found.support} sessions, not of {pair.support}")
            differences += [
                f"{_of(pair)} lacks the rejection for {one.reason}: {one.relation} {one.tail}"
                for one in judged.rejected
                if (one.pair_id, one.relation, one.reason) not in refused
            ]
        return differences

    def every_intent_is_what_the_model_says_of_a_released_pair(self) -> list[str]:
        """Asked again here, in this process, about the pair as it was released."""
        released: dict[str, list[BehaviorPair]] = defaultdict(list)
        for pair in self.account.pairs:
            released[pair.pair_id].append(pair)
        differences: list[str] = []
        for key, intent in self.intents.items():
            pairs = [pair for pair in released[intent.pair_id] if pair.support == intent.support]
            said = [_without_time(one) for pair in pairs for one in self.judged(pair).accepted]
            if _without_time(intent) not in said:
                differences.append(f"{key} is from nowhere: {intent.relation} {intent.tail}")
        return differences

    def every_entity_was_told_of_its_intents_and_of_nothing_else(self) -> list[str]:
        """The log of entities against the log of intents, both at their newest."""
        told = {(one.entity_kind, one.entity_key, evidence_key(one.intent)) for one in self.entity_intents}
        wanted = {
            (kind, key, evidence) for evidence, intent in self.intents.items() for kind, key in entities_of(intent)
        }
        lacking = [f"{kind} {key} was not told of {evidence}" for kind, key, evidence in wanted - told]
        return lacking + [
            f"{kind} {key} was told of {evidence}, which no log has" for kind, key, evidence in told - wanted
        ]

    def features_are_the_merge_of_the_log_and_nothing_else(self) -> list[str]:
        """Field for field; and the store holds no other entity."""
        expected = dict(self._merged())
        stored, keys = asyncio.run(self._stored(list(expected)))
        differences = []
        for ref, state in expected.items():
            wanted = feast_format.encode_row(ref.view, row_of(ref.view, ref.key, state))
            if not wanted.items() <= stored[ref].fields.items():
                differences.append(f"{ref.view.name} of {ref.key} is not the merge of its intents")
            slots = [slot_of(ref.view, ref.key)(entry) for entry in state.entries]
            if len(set(slots)) < len(slots):
                differences.append(f"{ref.view.name} of {ref.key} holds something twice")
        project = project_name(self.account.settings)
        known = {feast_format.entity_key(project, ref.view, ref.key) for ref in expected}
        return differences + [f"the store holds {key!r} from nowhere" for key in keys - known]

    def every_intent_of_a_qualifying_pair_is_read_through_feast(self) -> list[str]:
        """The Feast SDK, as a reader uses it. What two pairs say alike is there once."""
        wanted: dict[Ref, set[str]] = defaultdict(set)
        for pair in self.account.expected.pairs.values():
            for intent in self.judged(pair).accepted:
                for ref in by_entity(_told(intent)):
                    wanted[ref].add(intent.intent_id if pair.query else intent.pair_id)
        differences: list[str] = []
        with opened(self.account.settings) as store:
            for view in VIEWS:
                refs = [ref for ref in wanted if ref.view is view]
                names = [f"{view.name}:intent_ids", f"{view.name}:pair_ids"]
                rows = [{view.join_key: ref.key} for ref in refs]
                answer = store.get_online_features(features=names, entity_rows=rows).to_dict() if rows else {}
                for number, ref in enumerate(refs):
                    found = {*(answer["intent_ids"][number] or ()), *(answer["pair_ids"][number] or ())}
                    differences += [f"{view.name} of {ref.key} lacks {one}" for one in wanted[ref] - found]
        return differences

    def judged(self, pair: BehaviorPair) -> Judged:
        """What the scripted model's answers about a pair come to."""
        params = sampling_params(self.account.settings)
        prompts = prompts_of(pair, self.account.settings.infer_relations)
        asked = {
            "prompt": [prompt.text for prompt in prompts],
            "n": params.n,
            "max_tokens": params.max_tokens,
            "temperature": params.temperature,
            "seed": params.seed,
        }
        if not prompts:
            return Judged(accepted=(), rejected=())
        _, document = complete(Script(), asked)
        answers = answers_of(
            orjson.dumps(document), prompts=len(prompts), n=params.n, model_id="", at=self.account.expected.now
        )
        return judge(pair, list(zip(prompts, answers, strict=True)))

    @cached_property
    def intents(self) -> Mapping[str, Intent]:
        """The log of intents at its newest, by key."""
        return {evidence_key(one): one for one in self.account.records(topics.INTENTS, Intent)}

    @cached_property
    def rejected(self) -> list[RejectedIntent]:
        return list(self.account.records(topics.REJECTED_INTENTS, RejectedIntent))

    @cached_property
    def entity_intents(self) -> list[EntityIntent]:
        return list(self.account.records(topics.ENTITY_INTENTS, EntityIntent))

    def redelivered(self) -> Mapping[str, int]:
        """Records written more than once by infer: the same evidence of the same support for the same entity."""
        told = [(one.entity_key, evidence_key(one.intent), one.intent.support) for one in self.entity_intents]
        return {"entity intents": len(told) - len(set(told))}

    def _merged(self) -> Iterable[tuple[Ref, EntityState]]:
        rule = merge_rule(self.account.settings)
        for ref, changes in by_entity(self.entity_intents).items():
            yield ref, merge(EntityState(), changes, slot_of=slot_of(ref.view, ref.key), rule=rule)

    async def _stored(self, refs: Sequence[Ref]) -> tuple[Mapping[Ref, Stored], set[bytes]]:
        store = connect(self.account.settings)
        try:
            rows = await store.read(refs)
            ours = project_name(self.account.settings).encode()
            found = {key async for key in store._client.scan_iter(count=1000)}
            keys = {key for key in found if key.endswith(ours) and not key.startswith(b"cosmo:applied")}
        finally:
            await store.close()
        return dict(zip(refs, rows, strict=True)), keys


def _told(intent: Intent) -> list[EntityIntent]:
    return [EntityIntent(entity_kind=kind, entity_key=key, intent=intent) for kind, key in entities_of(intent)]


def _without_time(intent: Intent) -> tuple[str, str, str, float, int, str]:
    return (
        intent.intent_id,
        intent.relation,
        intent.tail,
        round(intent.plausibility, 9),
        intent.support,
        intent.template_id,
    )


def _of(pair: BehaviorPair) -> str:
    return f"{pair.query or ''} {' + '.join(product.product_id for product in pair.products)}".strip()
