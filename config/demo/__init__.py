"""The demo: a small school plays four weeks of classes through the whole system.

Nothing is inserted by hand: a loopback Google serves Calendar events and Meet records of our own
making, and the production code reads, judges, plans and sends. The weeks before today run under the
simulated clock (history.py); the class that has just been settled runs under the real one, through
the real clock, worker, bot and web processes (live.py).
"""

from __future__ import annotations
