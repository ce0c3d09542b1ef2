"""A cell run through time."""

from recurra.engine.request import Request, Result
from recurra.engine.run import ENGINES, Choice, choose, run

__all__ = ["ENGINES", "Choice", "Request", "Result", "choose", "run"]
