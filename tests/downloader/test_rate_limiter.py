"""The rate limiter: even spacing of requests, pauses and the stop."""

import threading
import time

import pytest

from src.downloader.rate_limiter import RateLimiter, Stopped


def test_requests_of_many_threads_are_evenly_spaced() -> None:
    limiter, moments = RateLimiter(100), list[float]()

    def ask() -> None:
        for _ in range(5):
            limiter.acquire()
            moments.append(time.monotonic())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(moments) == 40
    assert 0.38 < max(moments) - began < 10


def test_a_pause_delays_threads_that_already_wait() -> None:
    limiter, moments = RateLimiter(10), list[float]()
    threads = [
        threading.Thread(target=lambda: (limiter.acquire(), moments.append(time.monotonic())))
        for _ in range(3)
    ]
    limiter.acquire()
    for thread in threads:
        thread.start()
    began = time.monotonic()
    limiter.pause(0.6)
    for thread in threads:
        thread.join()
    assert min(moments) - began > 0.59


def test_a_stop_wakes_threads_that_wait() -> None:
    limiter = RateLimiter(0)
    limiter.pause(60)
    timer = threading.Timer(0.1, limiter.stop)
    timer.start()
    with pytest.raises(Stopped):
        limiter.acquire()
    with pytest.raises(Stopped):
        limiter.acquire()
