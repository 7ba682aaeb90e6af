"""The bell of the engine: one pass at a time in a process, and no bell unheard."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from delivery import clock, selectors
from nurture import services, tasks
from nurture.services.engine import TickReport
from tests.factories.nurture import NOW


def test_a_bell_during_a_pass_takes_no_thread_and_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on, passes = threading.Event(), threading.Event(), []
    monkeypatch.setattr(selectors, "has_due", lambda: False)
    monkeypatch.setattr(clock, "now", lambda: NOW)  # a thread asks no database here

    def long_pass(**_: Any) -> TickReport:
        passes.append(threading.current_thread().name)
        begun.set()
        assert go_on.wait(10)
        return TickReport()

    monkeypatch.setattr(services, "tick", long_pass)
    first = threading.Thread(target=tasks.tick.fn, name="first")
    first.start()
    assert begun.wait(10)
    tasks.tick.fn()  # returns though the first has not ended
    tasks.tick.fn()
    assert passes == ["first"]
    go_on.set()
    first.join(10)

    assert passes == ["first", "first"]
    tasks.tick.fn()
    assert len(passes) == 3
