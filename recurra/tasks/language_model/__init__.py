"""Language models: a text in, a network that predicts, scores and writes."""

from recurra.tasks.language_model.generation import GenerationOptions
from recurra.tasks.language_model.model import LanguageModel
from recurra.tasks.language_model.network import Network
from recurra.tasks.language_model.options import NetworkOptions, TextOptions, WindowOptions
from recurra.tasks.language_model.scoring import Score
from recurra.tasks.language_model.text import Prepared, prepare, reopen
from recurra.tasks.language_model.training import Training

__all__ = [
    "GenerationOptions",
    "LanguageModel",
    "Network",
    "NetworkOptions",
    "Prepared",
    "Score",
    "TextOptions",
    "Training",
    "WindowOptions",
    "prepare",
    "reopen",
]
