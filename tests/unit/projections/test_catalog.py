from __future__ import annotations

import pytest

from projections.catalog import JUDGE, PROJECTIONS, find, fingerprint, names
from projections.refusal import Refused
from projections.registry import schema_of


def test_a_projection_is_found_in_a_definition_that_this_code_has():
    for projection in PROJECTIONS:
        assert find(projection.name, projection.definition) is projection
    assert find(JUDGE, 0) is None
    assert find("nothing", 1) is None


def test_names_come_in_the_order_of_the_catalog_and_none_means_all():
    assert names() == ["task", "task_history"]
    assert names(["task_history", "task"]) == ["task", "task_history"]
    assert names(["task_history"]) == ["task_history"]


def test_an_unknown_name_is_refused_with_those_that_there_are():
    with pytest.raises(Refused, match="no projection tasks; there are: task, task_history"):
        names(["tasks", "task"])


def test_the_code_of_each_projection_has_a_fingerprint_of_its_own():
    prints = [fingerprint(projection) for projection in PROJECTIONS]
    assert len(set(prints)) == len(prints)
    assert prints == [fingerprint(projection) for projection in PROJECTIONS]


def test_each_generation_has_a_schema_of_its_own():
    assert schema_of("task", 2) == "task_2"
