from __future__ import annotations

from collections import Counter

import pytest
from support.builders import number

from app.domain.envelope import encode_key
from app.log.port import parse_position, partition_of, position_text


@pytest.mark.parametrize(
    ("n", "of_4", "of_12"),
    [(0, 0, 8), (1, 2, 10), (2, 0, 0), (77, 1, 5), (1000000000, 1, 9)],
)
def test_a_task_has_its_partition_for_life(n, of_4, of_12):
    key = encode_key(number(n))
    assert (partition_of(key, 1), partition_of(key, 4), partition_of(key, 12)) == (0, of_4, of_12)


def test_tasks_are_spread_evenly():
    load = Counter(partition_of(encode_key(number(n)), 12) for n in range(12_000))
    assert len(load) == 12
    assert max(load.values()) < 1.2 * min(load.values())


def test_a_position_is_written_in_the_order_of_partitions():
    assert position_text({11: 3, 2: 70, 0: 0}) == "0:0,2:70,11:3"
    assert position_text({}) == ""


@pytest.mark.parametrize("position", [{}, {0: 0}, {3: 9_223_372_036_854_775_807, 1: 5}])
def test_a_position_that_was_written_is_read(position):
    assert parse_position(position_text(position)) == position


@pytest.mark.parametrize(
    "text", ["x", "1", "1:", ":1", "-1:2", "1:-2", "1:2,", ",1:2", "1:2 ", "1.5:2", "1:" + "9" * 99]
)
def test_what_is_no_position_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - its text is what could not be read
        parse_position(text)
