"""Anything that clients may ask for, and anything that a partition of the log may hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace
from support.builders import event, number, record

from app.domain.commands import CompleteTask, CreateTask, DeleteTask, ReopenTask, UpdateTask
from app.domain.envelope import decode, decode_key, encode
from app.domain.history import EMPTY, read
from app.domain.task import Task, TaskCompleted, TaskCreated, TaskDeleted, TaskUpdated, decide
from app.log.memory import MemoryRecord

if TYPE_CHECKING:
    from app.domain.task import Change

BROKEN = ["gap", "impossible", "garbage", "newer", "no key", "repair", "repair", "half a repair"]
_CONTENTS = {"title": "t", "description": "", "priority": 0, "due_at": None, "tags": []}
TASKS = [number(n) for n in range(1, 4)]
_offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
titles = _text.filter(str.strip)
descriptions = st.one_of(_text, st.just("two\nlines\t"))
priorities = st.integers(0, 3)
moments = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=st.one_of(st.just(UTC), _offsets))  # noqa: DTZ001 - `timezones` adds one
tag_lists = st.lists(st.text("abc", min_size=1, max_size=2), max_size=4)


def _maybe(values):
    return st.one_of(st.just(UNSET), st.none(), values)


creations = st.builds(
    CreateTask,
    title=titles,
    description=descriptions,
    priority=priorities,
    due_at=st.none() | moments,
    tags=tag_lists,
)
updates = st.builds(
    UpdateTask,
    title=st.just(UNSET) | titles,
    description=_maybe(descriptions),
    priority=_maybe(priorities),
    due_at=_maybe(moments),
    tags=_maybe(tag_lists),
)
changes_of_state = st.sampled_from([CompleteTask(), ReopenTask(), DeleteTask()])
repairs = st.one_of(
    st.just(TaskDeleted()),
    st.builds(
        TaskUpdated,
        title=titles,
        description=descriptions,
        priority=priorities,
        due_at=st.none() | moments,
        tags=tag_lists,
        status=st.just("open"),
    ),
)
"""Changes that carry a whole task."""
commands = st.one_of(creations, updates, changes_of_state)


@st.composite
def partitions(draw, *, broken: bool = True, max_size: int = 30) -> list[MemoryRecord]:
    """Draw the records of one partition as racing, repeating and, where so said, broken writers leave them."""
    kinds = ["next"] * 6 + ["void", "again"] + (BROKEN if broken else [])
    histories = dict.fromkeys(TASKS, EMPTY)
    records: list[MemoryRecord] = []
    for _ in range(draw(st.integers(0, max_size))):
        task_id = draw(st.sampled_from(TASKS))
        written = _record(draw, draw(st.sampled_from(kinds)), records, histories[task_id], task_id)
        records.append(written)
        if decode_key(written.key) is not None:
            named = decode_key(written.key)
            _, histories[named] = read(histories[named], decode(written.key, written.value))
    return records


def _record(draw, kind, earlier, history, task_id) -> MemoryRecord:
    offset = len(earlier)
    if kind == "again" and earlier:
        again = draw(st.sampled_from(earlier))
        return MemoryRecord(offset, again.key, again.value)
    version, change = history.version + 1, _change(draw, history.state)
    if kind == "void" or change is None:
        version, change = draw(st.integers(1, max(1, history.version))), change or TaskDeleted()
    elif kind == "gap":
        version += draw(st.integers(1, 9))
    elif kind == "impossible":
        change = TaskDeleted() if history.state is None else TaskCreated(**_CONTENTS)
    made = event(version, change, task_id, id=number(1000 + offset))
    if kind in {"repair", "half a repair"}:
        made = replace(made, version=history.version + 1, change=draw(repairs), repairs=draw(moments))
        if kind == "half a repair":
            made = replace(made, change=draw(st.sampled_from([TaskUpdated(status="open"), TaskCompleted(), change])))
    if kind == "garbage":
        return record(offset, draw(st.binary(max_size=9)), task_id)
    if kind == "newer":
        return record(offset, encode(made).replace(made.type.encode(), b"task.snoozed"), task_id)
    if kind == "no key":
        return MemoryRecord(offset, draw(st.none() | st.binary(max_size=9)), encode(made))
    return record(offset, made)


def _change(draw, state) -> Change | None:
    """Decide a command that fits; None where nothing can follow any more."""
    if state is None:
        return decide(state, draw(creations))
    if isinstance(state, Task):
        return decide(state, draw(updates | changes_of_state)) or TaskUpdated(title=draw(titles))
    return None
