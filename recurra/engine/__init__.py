"""A cell run through time."""

from recurra.engine.request import Masks, Request, Result
from recurra.engine.run import ENGINES, Choice, choose, run

__all__ = ["ENGINES", "Choice", "Masks", "Request", "Result", "choose", "run"]
