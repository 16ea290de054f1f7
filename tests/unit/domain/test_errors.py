from __future__ import annotations

import pytest

from app.domain import errors
from app.domain.errors import ConfigurationError, FieldProblem, TaskNotFound, ValidationError, VersionMismatch


def tree(kind):
    return [kind, *(descendant for child in kind.__subclasses__() for descendant in tree(child))]


OURS = [kind for kind in tree(errors.TaskledgerError) if kind.__module__ == errors.__name__]


def test_every_code_is_used_once():
    codes = [kind.code for kind in tree(errors.TaskledgerError)]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_the_tree_in_the_docstring_names_every_error(kind):
    assert f"{kind.__name__} " in errors.__doc__ or f"{kind.__name__}\n" in errors.__doc__


@pytest.mark.parametrize("kind", tree(errors.Unavailable), ids=lambda kind: kind.__name__)
def test_what_is_unavailable_says_when_to_try_again(kind):
    assert 1 <= kind.retry_after <= 60


def test_the_docstring_is_what_the_reader_gets_where_nothing_else_is_said():
    assert TaskNotFound().detail == "There is no task with this id."
    assert ConfigurationError("Set the port.").detail == "Set the port."


def test_a_bad_version_carries_the_current_one():
    assert (VersionMismatch(7).current, "If-Match" in VersionMismatch(7).detail) == (7, True)


def test_bad_fields_are_all_named():
    error = ValidationError([FieldProblem("title", "is required"), FieldProblem("tags", "must be a list")])
    assert error.detail == "title: is required; tags: must be a list"
