from __future__ import annotations

import pytest

from projections.batch import key_indexes, may_clear, task_column, task_index
from projections.catalog import PROJECTIONS
from projections.task.tables import dead_letter, task
from projections.task_history.tables import task_history

TABLES = [table for projection in PROJECTIONS for table in projection.metadata.sorted_tables]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_tells_which_task_a_row_belongs_to(table):
    column = task_column(table)
    assert list(table.columns)[task_index(table)] is column
    assert column.name in {"id", "task_id"}


def test_a_key_is_found_in_a_row_by_its_places():
    assert (key_indexes(task), key_indexes(task_history), key_indexes(dead_letter)) == ((0,), (0, 1), (0, 1))


def test_only_dead_letters_go_again_without_others_in_their_place():
    assert [table.name for table in TABLES if may_clear(table)] == ["dead_letter"]
