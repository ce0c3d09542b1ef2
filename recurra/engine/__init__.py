"""A cell run through time."""

from recurra.engine.explain import Explained, explain
from recurra.engine.request import Masks, Request, Result
from recurra.engine.run import ENGINES, Choice, choose, run

__all__ = ["ENGINES", "Choice", "Explained", "Masks", "Request", "Result", "choose", "explain", "run"]
