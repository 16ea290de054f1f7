from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from support.builders import TASK, minute
from support.strategies import commands, creations, moments

from app.domain.commands import CreateTask, UpdateTask
from app.domain.errors import Rejected
from app.domain.task import ANY_VERSION, DeletedTask, Task, TaskUpdated, decide, evolve, version_of

histories = st.lists(commands, max_size=8)


def carry_out(wanted, state=None):
    """Execute commands one after another; what is rejected changes nothing."""
    for n, command in enumerate(wanted):
        try:
            change = decide(state, command)
        except Rejected:
            continue
        if change is not None:
            state = evolve(state, change, TASK, minute(n))
    return state


states = st.builds(lambda first, more: carry_out([first, *more]), creations, histories) | st.none()


@settings(max_examples=1000)
@given(states, commands, st.sampled_from([None, ANY_VERSION]))
def test_deciding_a_command_again_on_the_state_after_it_writes_nothing_or_is_rejected(state, command, expected):
    try:
        change = decide(state, command, expected)
    except Rejected:
        return
    after = state if change is None else evolve(state, change, TASK, minute(60))
    try:
        again = decide(after, command, expected)
    except Rejected:
        assert isinstance(command, CreateTask) or isinstance(after, DeletedTask)
    else:
        assert again is None


@settings(max_examples=1000)
@given(states, commands)
def test_a_condition_holds_for_one_change_only(state, command):
    seen = version_of(state)
    try:
        change = decide(state, command, seen)
    except Rejected:
        return
    if change is None:
        return
    after = evolve(state, change, TASK, minute(60))
    try:
        again = decide(after, command, seen)
    except Rejected:
        return
    raise AssertionError(f"{again} was decided for a version that is over")


@settings(max_examples=1000)
@given(states, commands)
def test_whatever_is_decided_can_follow_and_takes_the_next_version(state, command):
    try:
        change = decide(state, command)
    except Rejected:
        return
    if change is not None:
        after = evolve(state, change, TASK, minute(60))
        assert version_of(after) == version_of(state) + 1
        assert after != state


@settings(max_examples=1000)
@given(histories)
def test_a_task_keeps_what_the_api_promises(wanted):
    state = carry_out(wanted)
    if isinstance(state, Task):
        assert state.title == state.title.strip() != ""
        assert len(set(state.tags)) == len(state.tags)
        assert (state.completed_at is None) == (state.status == "open")
        assert state.created_at <= state.updated_at
        assert state.due_at is None or state.due_at.tzinfo is UTC
        assert state == msgspec.json.decode(msgspec.json.encode(state), type=Task)


@given(states, st.builds(UpdateTask, due_at=moments))
def test_a_due_time_is_kept_to_the_microsecond(state, command):
    if isinstance(state, Task):
        change = decide(state, command)
        if isinstance(change, TaskUpdated):
            assert isinstance(change.due_at, datetime)
            assert change.due_at == command.due_at
