import threading

import pytest

from layerwise.analyses.ahead import read_ahead


def test_results_come_in_order_and_each_next_one_is_begun_meanwhile():
    begun = [threading.Event() for _ in range(3)]

    def call(index):
        begun[index].set()
        return index * 10

    results = read_ahead(lambda index=index: call(index) for index in range(3))
    assert next(results) == 0
    assert begun[1].wait(5) and not begun[2].is_set()
    assert list(results) == [10, 20]


def test_an_error_comes_when_its_turn_does():
    def fail():
        raise ValueError("damaged")

    results = read_ahead([lambda: 1, fail, lambda: 3])
    assert next(results) == 1
    with pytest.raises(ValueError, match="damaged"):
        next(results)


def test_nothing_to_read_gives_nothing():
    assert list(read_ahead([])) == []
