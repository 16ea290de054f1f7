from __future__ import annotations

import sqlalchemy as sa
from support.builders import TASK

from projections.database import Query, Statement
from projections.rows import upsert
from projections.task.tables import task

BY_ID = sa.select(task.c.title).where(task.c.id == sa.bindparam("id"), task.c.status == "open")


def test_a_statement_knows_the_order_of_its_arguments():
    statement = Statement(BY_ID)
    assert statement.sql.count("$") == 2
    assert statement.sql.index("$1") < statement.sql.index("$2")
    assert statement.arguments(id=TASK) == [TASK, "open"]


def test_a_value_by_name_wins_over_the_one_in_the_clause():
    statement = Statement(sa.select(sa.bindparam("limit", 10)))
    assert (statement.arguments(), statement.arguments(limit=3)) == ([10], [3])


def test_a_statement_without_parameters_takes_none():
    assert Statement(sa.select(task.c.id)).arguments(id=TASK) == []


def test_a_query_reads_the_schema_of_the_wanted_generation():
    query = Query(BY_ID)
    assert "task_1.task" in query.at({"task": "task_1"}).sql
    assert "task_2.task" in query.at({"task": "task_2"}).sql


def test_a_query_is_compiled_once_for_each_generation():
    query = Query(BY_ID)
    assert query.at({"task": "task_1", "other": "x"}) is query.at({"other": "x", "task": "task_1"})
    assert query.at({"task": "task_1"}) is not query.at({"task": "task_2"})


def test_an_upsert_takes_the_columns_in_their_order_and_replaces_all_but_the_key():
    statement = Statement(upsert(task))
    names = [column.name for column in task.columns]
    assert statement.arguments(**{name: name for name in names}) == names
    _, _, replaced = statement.sql.partition("DO UPDATE SET")
    assert [part.split("=")[0].strip() for part in replaced.split(",")] == names[1:]
