import sys
import threading
from functools import partial

import pytest

from layerwise.activations.reduce import WAITING, Writer


@pytest.fixture
def busy_switching():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize(("backlog", "waiting"), [(0, WAITING), (50, 5)])
def test_writes_wait_in_their_order_as_many_as_may(backlog, waiting):
    gate, asked, written = threading.Event(), threading.Event(), []

    def write(number):
        gate.wait(10)
        written.append(number)

    with Writer(backlog) as writer:
        for number in range(waiting):
            writer.put(lambda number=number: write(number), 10)

        def put_one_more():
            asked.set()
            writer.put(lambda: write(waiting), 10)

        one_more = threading.Thread(target=put_one_more)
        one_more.start()
        assert asked.wait(10)
        one_more.join(0.2)
        assert one_more.is_alive() and not written
        gate.set()
        one_more.join()
    assert written == list(range(waiting + 1))


def test_several_threads_may_write(busy_switching):
    written = []

    def work(writer, thread):
        for number in range(2000):
            writer.put(partial(written.append, (thread, number)), 1)

    with Writer(20) as writer:
        threads = [threading.Thread(target=work, args=(writer, thread)) for thread in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for thread in range(4):
        assert [number for who, number in written if who == thread] == list(range(2000))


def fail():
    raise OSError("the disk is full")


def test_after_an_error_nothing_is_written_and_the_next_is_told():
    written, failed = [], threading.Event()
    with pytest.raises(OSError, match="full"), Writer(10**9) as writer:
        writer.put(fail, 1)
        writer.put(failed.set, 1)  # in its turn, after the error
        assert not failed.wait(0.2)
        writer.put(lambda: written.append(1), 1)
        pytest.fail("the error was not told")
    assert not written


def test_an_error_of_the_last_write_comes_at_the_end():
    with pytest.raises(OSError, match="full"), Writer(10**9) as writer:
        writer.put(fail, 1)


def test_an_error_elsewhere_drops_what_waits():
    gate, written = threading.Event(), []
    with pytest.raises(KeyError), Writer(10**9) as writer:
        writer.put(lambda: gate.wait(10), 1)
        writer.put(lambda: written.append(1), 1)
        threading.Timer(0.1, gate.set).start()
        raise KeyError
    assert not written


def test_an_error_elsewhere_wakes_those_that_wait():
    gate, waiting = threading.Event(), []

    def work(writer):
        with pytest.raises(KeyError):
            while True:
                writer.put(lambda: gate.wait(10), 1)

    with pytest.raises(KeyError), Writer(0) as writer:
        waiting = [threading.Thread(target=work, args=(writer,), daemon=True) for _ in range(2)]
        for thread in waiting:
            thread.start()
        threading.Timer(0.3, gate.set).start()
        raise KeyError
    for thread in waiting:
        thread.join(10)
        assert not thread.is_alive()
