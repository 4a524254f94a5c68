"""Waiting for something to become true, with a deadline: the only place in the tests that sleeps."""

import time

DEADLINE = 30.0  # seconds; generous, because a loaded machine is no reason to fail


class Timeout(AssertionError):
    """What was waited for did not happen in time."""


def wait_until(what, condition, timeout=DEADLINE, every=0.01):
    """Polls condition() until it is true; returns its value. Raises Timeout, saying what was waited for."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Timeout(f"not within {timeout:g} s: {what}")
        time.sleep(every)


def pause(seconds):
    """Paces a sender or shows a screen. Never to hope that something has happened meanwhile."""
    time.sleep(seconds)
