from __future__ import annotations

import re
from pathlib import Path

import pytest
from feast.infra.online_stores.redis import RedisOnlineStore

from cosmo.runtime.errors import CosmoError
from cosmo.runtime.settings import Settings
from features.project import connection_string, directory, project_name, repo_config


@pytest.mark.parametrize(("prefix", "name"), [("", "cosmo"), ("dev", "cosmo_dev"), ("dev.", "cosmo_dev_728cd35a")])
def test_a_name_never_changes_for_it_is_part_of_every_key(prefix: str, name: str) -> None:
    assert project_name(Settings(topic_prefix=prefix)) == name


PREFIXES = ("a", "a.", "a-", "a_", "_a", "a._", "a.b", "a-b", "a_b", ".", "-", "_")


def test_no_two_topic_prefixes_share_a_name() -> None:
    """They would share every row of the online store, and the offline store's directory."""
    names = {project_name(Settings(topic_prefix=prefix)) for prefix in PREFIXES}
    assert len(names) == len(PREFIXES)


@pytest.mark.parametrize("prefix", ["", *PREFIXES])
def test_every_name_is_one_that_feast_allows(prefix: str) -> None:
    assert re.fullmatch(r"[A-Za-z]\w*", project_name(Settings(topic_prefix=prefix)), flags=re.ASCII)


@pytest.mark.parametrize(
    ("url", "nodes", "parameters"),
    [
        ("redis://127.0.0.1:6379/0", [("127.0.0.1", "6379")], {"db": 0}),
        ("redis://cache", [("cache", "6379")], {"db": 0}),
        (
            "rediss://me:p%40ss=1@cache:7000/3",
            [("cache", "7000")],
            {"db": 3, "username": "me", "password": "p@ss=1", "ssl": True},
        ),
        ("redis://:12345@cache/0", [("cache", "6379")], {"db": 0, "password": "12345"}),
    ],
)
def test_feast_reads_from_its_connection_string_what_redis_url_said(
    url: str, nodes: list[tuple[str, str]], parameters: dict[str, object]
) -> None:
    """A password of digits stays text, though Feast reads every parameter as JSON."""
    found, read = RedisOnlineStore._parse_connection_string(connection_string(url))
    assert [(node["host"], node["port"]) for node in found] == nodes
    assert read == parameters


@pytest.mark.parametrize("url", ["127.0.0.1:6379", "http://cache", "redis://:a,b@cache/0"])
def test_what_feast_could_not_use_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(CosmoError):
        connection_string(url)


def test_paths_are_absolute_so_that_feast_works_from_any_directory(tmp_path: Path) -> None:
    settings = Settings(home=Path("relative"))
    assert directory(settings).is_absolute()
    assert Path(repo_config(settings)["registry"]["path"]).is_absolute()
