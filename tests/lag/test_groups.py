from __future__ import annotations

from cosmo.lag.groups import counted_topics, matching, our_groups


def test_our_groups_are_known_before_they_ever_ran() -> None:
    groups = our_groups("dev.")
    assert groups["dev.cosmo-ingest"] == ("dev.query-purchase", "dev.co-purchase")
    assert set(groups) == {f"dev.cosmo-{process}" for process in ("ingest", "sample", "infer", "materialize")}


def test_a_topic_that_a_living_group_has_left_does_not_count() -> None:
    assert counted_topics(expected=(), assigned={"new"}, committed={"old", "new"}) == ("new",)


def test_a_dead_group_counts_everything_it_read() -> None:
    assert counted_topics(expected=(), assigned=(), committed={"b", "a"}) == ("a", "b")


def test_a_group_of_ours_counts_what_it_should_read_whether_it_did_or_not() -> None:
    assert counted_topics(expected=("a", "b"), assigned=(), committed={"old"}) == ("a", "b")


def test_a_pattern_finds_its_groups_once_and_an_unknown_name_stays() -> None:
    assert matching(["cosmo-*", "cosmo-infer", "mine"], ["cosmo-infer", "cosmo-ingest", "other"]) == [
        "cosmo-infer",
        "cosmo-ingest",
        "mine",
    ]
