"""The engine under a simulated clock: backtest, forecast, blast radius, one walk.

The production services run unchanged; only their tables are copies that vanish (shadow.py), their
clock is set (clock.py), and what they would send is recorded (delivery/services/recording.py).
"""

from __future__ import annotations

from nurture.services.simulation.backtesting import Backtest, NotSimulatedError, backtest, compare
from nurture.services.simulation.blast import BlastRadius, blast_radius
from nurture.services.simulation.forecasting import Forecast, forecast
from nurture.services.simulation.scene import Answer, AnswerKind, NextClass, Persona
from nurture.services.simulation.walking import Line, Walk, walk

__all__ = [
    "Answer",
    "AnswerKind",
    "Backtest",
    "BlastRadius",
    "Forecast",
    "Line",
    "NextClass",
    "NotSimulatedError",
    "Persona",
    "Walk",
    "backtest",
    "blast_radius",
    "compare",
    "forecast",
    "walk",
]
