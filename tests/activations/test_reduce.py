import threading

import pytest

from layerwise.activations.reduce import WAITING, Writer


@pytest.mark.parametrize(("backlog", "waiting"), [(0, WAITING), (50, 5)])
def test_writes_wait_in_their_order_as_many_as_may(backlog, waiting):
    gate, written = threading.Event(), []

    def write(number):
        gate.wait(10)
        written.append(number)

    with Writer(backlog) as writer:
        for number in range(waiting):
            writer.put(lambda number=number: write(number), 10)
        one_more = threading.Thread(target=writer.put, args=(lambda: write(waiting), 10))
        one_more.start()
        one_more.join(0.2)
        assert one_more.is_alive() and not written
        gate.set()
        one_more.join()
    assert written == list(range(waiting + 1))


def test_an_error_comes_with_a_later_write_or_at_the_end():
    def fail():
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"), Writer(10**9) as writer:
        writer.put(fail, 1)
        writer.put(lambda: None, 1)
