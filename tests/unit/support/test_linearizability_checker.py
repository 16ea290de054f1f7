from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace

import pytest
from simulated_histories import simulate
from support.linearizability import (
    Answer,
    Kind,
    Mismatch,
    Operation,
    Request,
    Response,
    SearchTooLong,
    Seen,
    check,
    step,
)

SEEDS = range(60)
V1 = Seen(1, "a", "open")


def op(called: int, returned: float, request: Request, response: Response | None, task: str = "t") -> Operation:
    return Operation(process=called, task=task, request=request, response=response, called=called, returned=returned)


def create(called: int, returned: float, response: Response | None = V1, title: str = "a") -> Operation:
    return op(called, returned, Request(Kind.CREATE, title), response)


def read(called: int, returned: float, response: Response) -> Operation:
    return op(called, returned, Request(Kind.READ), response)


def retitle(
    called: int, returned: float, title: str, response: Response | None, expected: int | None = None
) -> Operation:
    return op(called, returned, Request(Kind.RETITLE, title, expected), response)


def delete(called: int, returned: float, response: Response | None, expected: int | None = None) -> Operation:
    return op(called, returned, Request(Kind.DELETE, expected=expected), response)


def complete(called: int, returned: float, response: Response | None) -> Operation:
    return op(called, returned, Request(Kind.COMPLETE), response)


LEGAL = {
    "nothing at all": [],
    "one client in order": [
        read(0, 1, Answer.NOT_FOUND),
        create(2, 3),
        create(4, 5, Answer.EXISTS),
        retitle(6, 7, "b", Seen(2, "b", "open")),
        retitle(8, 9, "b", Seen(2, "b", "open")),
        retitle(10, 11, "c", Mismatch(2), expected=1),
        complete(12, 13, Seen(3, "b", "completed")),
        complete(14, 15, Seen(3, "b", "completed")),
        delete(16, 17, Answer.DELETED, expected=3),
        read(18, 19, Answer.NOT_FOUND),
        delete(20, 21, Answer.GONE, expected=3),
        retitle(22, 23, "d", Answer.NOT_FOUND),
        create(24, 25, Answer.EXISTS),
    ],
    "a read beside a change sees either": [
        create(0, 1),
        retitle(2, 9, "b", Seen(2, "b", "open")),
        read(3, 4, V1),
        read(5, 6, Seen(2, "b", "open")),
    ],
    "the later call takes effect first": [
        create(0, 1),
        retitle(2, 9, "b", Seen(3, "b", "open")),
        retitle(3, 8, "c", Seen(2, "c", "open")),
    ],
    "of two conditional changes one wins": [
        create(0, 1),
        retitle(2, 5, "b", Mismatch(2), expected=1),
        retitle(3, 6, "c", Seen(2, "c", "open"), expected=1),
    ],
    "an unknown change never happens": [create(0, 1), retitle(2, math.inf, "b", None), read(8, 9, V1)],
    "an unknown change happens late": [
        create(0, 1),
        retitle(2, math.inf, "b", None),
        read(8, 9, V1),
        read(10, 11, Seen(2, "b", "open")),
    ],
    "an unknown create explains the task": [create(0, math.inf, None), read(3, 4, V1)],
    "several unknown changes explain a jump of versions": [
        create(0, 1),
        *[retitle(2 + n, math.inf, f"u{n}", None) for n in range(5)],
        read(10, 11, Seen(4, "u3", "open")),
        read(12, 13, Seen(5, "u0", "open")),
    ],
}

VIOLATIONS = {
    "a stale read after an acknowledged change": [
        create(0, 1),
        retitle(2, 3, "b", Seen(2, "b", "open")),
        read(4, 5, V1),
    ],
    "a read that goes back in time": [
        create(0, 1),
        retitle(2, 9, "b", Seen(2, "b", "open")),
        read(3, 4, Seen(2, "b", "open")),
        read(5, 6, V1),
    ],
    "a lost update: two win the same version": [
        create(0, 1),
        retitle(2, 6, "b", Seen(2, "b", "open"), expected=1),
        retitle(3, 7, "c", Seen(2, "c", "open"), expected=1),
    ],
    "an acknowledged change that is gone": [
        create(0, 1),
        retitle(2, 3, "b", Seen(2, "b", "open")),
        retitle(4, 5, "c", Seen(2, "c", "open")),
    ],
    "a resurrected task": [create(0, 1), delete(2, 3, Answer.DELETED), read(4, 5, V1)],
    "a task created twice": [create(0, 5), create(1, 6)],
    "a value that nobody wrote": [create(0, 1), read(2, 3, Seen(1, "z", "open"))],
    "a status that nobody set": [create(0, 1), read(2, 3, Seen(1, "a", "completed"))],
    "a created task that is not found": [create(0, 1), read(2, 3, Answer.NOT_FOUND)],
    "an unknown change that happened twice": [
        create(0, 1),
        retitle(2, math.inf, "b", None),
        read(3, 4, Seen(2, "b", "open")),
        retitle(5, 6, "a", Seen(3, "a", "open")),
        read(7, 8, Seen(4, "b", "open")),
    ],
    "an unknown change that happened before its call": [
        create(0, 1),
        read(2, 3, Seen(2, "b", "open")),
        retitle(4, math.inf, "b", None),
    ],
    "an unknown conditional change that happened at another version": [
        create(0, 1),
        retitle(2, 3, "b", Seen(2, "b", "open")),
        retitle(4, math.inf, "c", None, expected=1),
        read(8, 9, Seen(3, "c", "open")),
    ],
    "a mismatch that names a version of the future": [
        create(0, 1),
        retitle(2, 3, "b", Mismatch(3), expected=2),
        retitle(4, 5, "c", Seen(2, "c", "open")),
        retitle(6, 7, "d", Seen(3, "d", "open")),
    ],
    "a mismatch at the very version that was asked for": [
        create(0, 1),
        retitle(2, 3, "b", Mismatch(1), expected=1),
    ],
}


@pytest.mark.parametrize("history", LEGAL.values(), ids=LEGAL)
def test_a_legal_history_is_accepted(history):
    assert check(history) is None
    assert check(history[::-1]) is None  # the order of recording means nothing


@pytest.mark.parametrize("history", VIOLATIONS.values(), ids=VIOLATIONS)
def test_a_planted_violation_is_found(history):
    assert check(history)
    assert check(history[::-1])


def test_tasks_are_judged_apart():
    good = [replace(operation, task="good") for operation in LEGAL["an unknown change happens late"]]
    bad = [replace(operation, task="bad") for operation in VIOLATIONS["a resurrected task"]]
    violation = check(good + bad)
    assert violation is not None
    assert violation.task == "bad"


def test_a_violation_shows_where_the_search_got_stuck():
    violation = check(VIOLATIONS["a stale read after an acknowledged change"])
    assert str(violation).splitlines() == [
        "task t is not linearizable; the best explanation ends like this:",
        "    [0.000 to 0.000 ms] client 0: create 'a' -> version 1, 'a', open",
        "    [0.000 to 0.000 ms] client 2: retitle 'b' -> version 2, 'b', open",
        "  state: version 2, 'b', open; none of these can come next:",
        "    [0.000 to 0.000 ms] client 4: read -> version 1, 'a', open, would be: version 2, 'b', open",
    ]


def test_a_search_that_is_given_up_says_so():
    history = [create(0, 1), *[retitle(2 + n, math.inf, f"u{n}", None) for n in range(12)]]
    with pytest.raises(SearchTooLong, match="task t"):
        check([*history, read(99, 100, Seen(14, "u1", "open"))], steps=1000)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_correct_service_is_always_accepted(seed):
    violation = check(simulate(seed, deletes=0.005))
    assert violation is None, str(violation)


def test_thousands_of_operations_over_twenty_tasks_are_checked():
    history = simulate(seed=1, tasks=20, clients=10, each=40, deletes=0.002)
    assert len(history) == 8000
    assert check(history) is None


@pytest.mark.parametrize("seed", SEEDS)
def test_an_answer_that_nobody_wrote_is_found(seed):
    history = simulate(seed)
    seen = [place for place, each in enumerate(history) if isinstance(each.response, Seen)]
    place = random.Random(seed).choice(seen)
    history[place] = replace(history[place], response=replace(history[place].response, title="nobody"))
    assert check(history)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_read_older_than_what_was_acknowledged_before_it_is_found(seed):
    history = simulate(seed)
    by_version = {each.response.version: each.response for each in history if isinstance(each.response, Seen)}
    stale = []
    for place, each in enumerate(history):
        known = [
            other.response.version
            for other in history
            if isinstance(other.response, Seen) and other.returned < each.called
        ]
        older = max(known, default=0) - 1
        if each.request.kind is Kind.READ and older in by_version:
            stale.append((place, by_version[older]))
    place, response = random.Random(seed).choice(stale)
    history[place] = replace(history[place], response=response)
    assert check(history)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_second_winner_of_a_version_is_found(seed):
    history = simulate(seed)
    won = {each.response.version: each.response for each in history if isinstance(each.response, Seen)}
    losers = [
        place
        for place, each in enumerate(history)
        if isinstance(each.response, Mismatch)
        and each.request.kind is Kind.RETITLE
        and each.request.expected + 1 in won
    ]
    place = random.Random(seed).choice(losers)
    request = history[place].request
    winner = won[request.expected + 1]
    response = replace(winner, title=request.title)
    history[place] = replace(history[place], response=response)
    assert check(history)


def explained_by_trying_everything(history, state=Answer.NOT_FOUND):
    """Search without any shortcut: an unknown operation may come next like any other, or never."""
    known = [each for each in history if each.response is not None]
    if not known:
        return True
    first_return = min(each.returned for each in known)
    for operation in [each for each in history if each.called <= first_return]:
        response, after = step(state, operation.request)
        rest = [each for each in history if each is not operation]
        if operation.response in (None, response) and explained_by_trying_everything(rest, after):
            return True
    return False


def test_the_search_finds_what_a_search_without_shortcuts_finds():
    rng = random.Random(0)
    verdicts = Counter()
    for seed in range(2000):
        history = simulate(seed, clients=3, each=3, deletes=0.1)
        answers = [Answer.NOT_FOUND, Answer.GONE, *(each.response for each in history if each.response)]
        for place in rng.sample(range(len(history)), k=rng.randrange(3)):
            if history[place].response is not None:
                history[place] = replace(history[place], response=rng.choice(answers))
        legal = explained_by_trying_everything(history)
        assert (check(history) is None) == legal, history
        verdicts[legal] += 1
    assert min(verdicts.values()) > 200
