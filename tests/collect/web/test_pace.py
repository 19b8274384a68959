from __future__ import annotations

import threading
import time

import pytest

from llm_twin.collect.web.pace import Clock, HostBusy, Pace, Stopped

HOST = "blog.example"


def ask(pace: Pace, delay_s: float = 0.0, host: str = HOST) -> None:
    with pace.turn(host, delay_s):
        pass


def test_a_pause_begins_when_the_answer_has_been_read(clock) -> None:
    pace = Pace(4, clock)
    with pace.turn(HOST, 5.0):
        clock.wait(3.0)  # the answer takes its time
    ask(pace, 5.0)
    ask(pace, 5.0, "other.example")
    assert clock.waits == [3.0, 5.0], "the other host has been left alone"


def test_a_failed_request_is_followed_by_a_pause_too(clock) -> None:
    pace = Pace(4, clock)
    with pytest.raises(ValueError, match="broken"), pace.turn(HOST, 5.0):
        raise ValueError("broken")
    ask(pace, 5.0)
    assert clock.waits == [5.0]


def test_requests_that_were_in_flight_together_count_once_as_busy(clock) -> None:
    pace = Pace(4, clock)
    ask(pace)
    for _ in range(4):
        pace.busy(HOST, asked_at=clock.now(), wait_s=0)
        clock.waits.append(0.0)
    ask(pace)
    assert max(clock.waits) <= 8.0
    quick = Pace(4, clock)
    ask(quick)
    asked_at = clock.now() - 1
    for _ in range(4):
        quick.busy(HOST, asked_at, wait_s=0)
    before = clock.now()
    ask(quick)
    assert clock.now() - before == 1.0


def test_a_host_that_answers_again_is_waited_for_from_the_start(clock) -> None:
    pace = Pace(4, clock)
    for expected in (1.0, 2.0, 4.0):
        ask(pace)
        pace.busy(HOST, clock.now(), wait_s=0)
        ask(pace)
        assert clock.waits[-1] == expected
    pace.answered(HOST)
    pace.busy(HOST, clock.now(), wait_s=0)
    ask(pace)
    assert clock.waits[-1] == 1.0


def test_a_wait_beyond_the_longest_is_an_answer_and_costs_nothing(clock) -> None:
    pace = Pace(4, clock)
    ask(pace)
    pace.busy(HOST, clock.now(), wait_s=61.0)
    with pytest.raises(HostBusy, match="61 s"):
        ask(pace)
    assert clock.waits == []
    clock.wait(2.0)
    ask(pace)


def test_one_request_at_a_time_where_pauses_are_kept(clock) -> None:
    pace = Pace(4, clock)
    assert pace.at_once(HOST, 0.0) == 4
    assert pace.at_once(HOST, 0.1) == 1
    second = threading.Thread(target=ask, args=(pace, 1.0))
    with pace.turn(HOST, 1.0):
        second.start()
        second.join(0.1)
        assert second.is_alive(), "the first has not ended"
    second.join(5)
    assert not second.is_alive()


def test_the_end_of_a_crawl_ends_every_wait() -> None:
    pace = Pace(4, Clock())
    with pace.turn(HOST, 50.0):
        pass
    caught: list[Exception] = []

    def wait() -> None:
        try:
            ask(pace, 50.0)
        except Stopped as error:
            caught.append(error)

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    pace.stop()
    for thread in threads:
        thread.join(5)
    assert len(caught) == 3
    with pytest.raises(Stopped):
        ask(pace)
