from __future__ import annotations

from datetime import timedelta

import pytest
from support.builders import NOON

from app.log.topic_plan import Existing, Step
from app.settings import Settings
from projections.doctor.clocks import clock_finding, last_record_finding
from projections.doctor.kafka import log_findings, other_topics
from projections.doctor.kafka import version_finding as kafka_finding
from projections.doctor.machine import check_disk
from projections.doctor.postgres import rights_finding
from projections.doctor.postgres import version_finding as postgres_finding
from projections.doctor.read_models import (
    dead_letter_finding,
    lag_finding,
    position_findings,
    registry_findings,
)
from projections.lag import Standing, TotalLag

SETTINGS = Settings(kafka="k:1", partitions=4, replication=3)
SECOND = timedelta(seconds=1)


def outcomes(findings):
    return {finding.check: finding.outcome for finding in findings}


def log(replicas=3, in_sync=3, minimum="2"):
    return Existing(4, replicas, in_sync, {"min.insync.replicas": minimum})


@pytest.mark.parametrize(
    ("existing", "steps", "troubles"),
    [
        (log(), [], {}),
        (None, [], {"log": "fail"}),
        (log(), [Step("e", "wrong", "partitions", "6", "4")], {"log partitions": "fail"}),
        (log(), [Step("e", "set", "retention.ms", "1", "-1")], {"log retention": "fail"}),
        (log(), [Step("e", "set", "cleanup.policy", "compact", "delete")], {"log retention": "fail"}),
        (log(minimum="1"), [], {"log durability": "fail"}),
        (log(in_sync=2), [], {"log replicas": "warn"}),
        (log(replicas=2, in_sync=2), [], {"log replicas": "warn"}),
    ],
)
def test_the_log_is_judged_by_what_its_promises_need(existing, steps, troubles):
    found = list(log_findings("e", existing, steps, SETTINGS))
    assert {check: outcome for check, outcome in outcomes(found).items() if outcome != "ok"} == troubles
    assert all(finding.remedy for finding in found if finding.outcome != "ok")


@pytest.mark.parametrize(
    ("step", "outcome"),
    [
        (None, "ok"),
        (Step("t", "create", "partitions", None, "4"), "fail"),
        (Step("t", "wrong", "partitions", "6", "4"), "fail"),
        (Step("t", "set", "retention.ms", "1", "2"), "warn"),
        (Step("t", "reassign", "replicas", "1", "3"), "ok"),
    ],
)
def test_other_topics_are_judged(step, outcome):
    assert other_topics({}, [step] if step else []).outcome == outcome


@pytest.mark.parametrize(
    ("highest", "told"), [(18, "4.1 or newer"), (19, "4.1"), (17, "3.9"), (14, "3.1"), (12, "2.7")]
)
def test_the_release_of_kafka_is_told(highest, told):
    finding = kafka_finding(highest, "k:1")
    assert finding.outcome == "ok"
    assert told in finding.found


def test_too_old_servers_are_refused():
    assert kafka_finding(11, "k:1").outcome == "fail"
    assert postgres_finding(130_012).outcome == "fail"
    assert (postgres_finding(140_005).outcome, postgres_finding(140_005).found) == ("ok", "14.5")


def test_a_user_that_may_not_make_schemas_is_refused():
    assert rights_finding("me", may_create=True).outcome == "ok"
    assert "TO me" in (rights_finding("me", may_create=False).remedy or "")


@pytest.mark.parametrize(
    ("there", "outcome", "told"),
    [
        (NOON, "ok", "within 1 s"),
        (NOON + 3 * SECOND, "ok", "within 1 s"),
        (NOON + 6 * SECOND, "warn", "4.0 s ahead"),
        (NOON - 3 * SECOND, "warn", "3.0 s behind"),
    ],
)
def test_a_clock_is_compared_within_the_time_that_the_question_took(there, outcome, told):
    finding = clock_finding("clock", NOON, there, NOON + 2 * SECOND)
    assert finding.outcome == outcome
    assert told in finding.found


def test_a_record_from_the_future_tells_of_another_clock():
    assert last_record_finding(NOON, NOON).outcome == "ok"
    assert "5.0 s in the future" in last_record_finding(NOON + 5 * SECOND, NOON).found


def row(projection, state="active", definition=1):
    return {"projection": projection, "generation": 1, "definition": definition, "state": state}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([row("task"), row("task_history")], ["ok"]),
        ([row("task"), row("task_history"), row("task", "standby")], ["ok"]),
        ([row("task")], ["fail"]),
        ([row("task"), row("task_history", "standby")], ["fail"]),
        ([row("task"), row("task_history", definition=999)], ["fail"]),
        ([row("task", definition=999)], ["fail", "fail"]),
    ],
)
def test_the_registry_is_judged_by_what_this_code_knows(rows, expected):
    assert [finding.outcome for finding in registry_findings(rows)] == expected


def standing(position, beginning=0, end=10, state="active"):
    return Standing("task", 1, state, 2, position, beginning, end, NOON)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (standing(0), {"positions": "ok", "log beginning": "ok"}),
        (standing(10), {"positions": "ok", "log beginning": "ok"}),
        (standing(11), {"positions": "fail", "log beginning": "ok"}),
        (standing(3, beginning=4), {"positions": "fail", "log beginning": "warn"}),
        (standing(4, beginning=4), {"positions": "ok", "log beginning": "warn"}),
        (standing(11, state="snapshot"), {"positions": "ok"}),
    ],
)
def test_positions_are_judged_by_the_log_that_is_there(one, expected):
    assert outcomes(position_findings([one])) == expected


def test_what_is_late_or_could_not_be_applied_is_worth_a_look():
    assert lag_finding([TotalLag("task", 5, 59.0), TotalLag("other", 3, 0.0)]).outcome == "ok"
    assert lag_finding([TotalLag("task", 5, 61.0)]).outcome == "warn"
    assert dead_letter_finding(0, 0).outcome == "ok"
    assert dead_letter_finding(3, 1).outcome == "warn"


@pytest.mark.parametrize(("free_gib", "outcome"), [(0.5, "fail"), (2, "warn"), (50, "ok")])
def test_the_disk_is_judged_by_what_is_free(free_gib, outcome, monkeypatch, tmp_path):
    class Usage:
        free = int(free_gib * 1024**3)

    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage)
    assert check_disk(tmp_path).outcome == outcome


def test_a_home_that_is_not_there_fails(tmp_path):
    assert check_disk(tmp_path / "missing").outcome == "fail"
