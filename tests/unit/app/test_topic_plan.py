from __future__ import annotations

import pytest

from app.log.topic_plan import Existing, Step, differences
from app.log.topics import EVENTS, config_of, topics
from app.settings import Settings

SETTINGS = Settings(kafka="k:1", partitions=4, replication=3)
LOG = topics(SETTINGS)[0]


def existing(partitions=4, replicas=3, **config) -> Existing:
    changed = {name.replace("_", "."): value for name, value in config.items()}
    return Existing(partitions, replicas, replicas, {"max.message.bytes": "1"} | config_of(LOG, SETTINGS) | changed)


@pytest.mark.parametrize(
    ("found", "steps"),
    [
        (existing(), []),
        (None, [Step(EVENTS, "create", "partitions", None, "4")]),
        (existing(partitions=6), [Step(EVENTS, "wrong", "partitions", "6", "4")]),
        (existing(replicas=1), [Step(EVENTS, "reassign", "replicas", "1", "3")]),
        (existing(replicas=4), []),
        (existing(retention_ms="604800000"), [Step(EVENTS, "set", "retention.ms", "604800000", "-1")]),
        (existing(min_insync_replicas="1"), [Step(EVENTS, "set", "min.insync.replicas", "1", "2")]),
    ],
)
def test_the_steps_are_those_from_what_is_to_what_is_wanted(found, steps):
    assert LOG.name == EVENTS
    assert list(differences(LOG, found, SETTINGS)) == steps


def test_nothing_that_is_declared_lets_the_log_forget():
    assert {name: value for name, value in config_of(LOG, SETTINGS).items() if name.startswith("retention")} == {
        "retention.ms": "-1",
        "retention.bytes": "-1",
    }
