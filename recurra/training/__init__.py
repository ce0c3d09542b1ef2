"""Losses to weights: the loop, truncated backpropagation through time, schedules, checkpoints, progress."""

from recurra.training.checkpoint import read_checkpoint
from recurra.training.figures import figure, percent, short_figure
from recurra.training.machine import describe_machine
from recurra.training.meter import Interval
from recurra.training.monitor import Monitor
from recurra.training.optimizers import OPTIMIZERS
from recurra.training.options import TrainingOptions
from recurra.training.progress import LiveProgress, PlainProgress, Progress, Silent, choose_progress
from recurra.training.schedules import SCHEDULES
from recurra.training.signals import Interrupted, Interruption
from recurra.training.task import Batch, Loss, Trainable, Updates
from recurra.training.train import Result, train
from recurra.training.truncation import truncated

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "Batch",
    "Interrupted",
    "Interruption",
    "Interval",
    "LiveProgress",
    "Loss",
    "Monitor",
    "PlainProgress",
    "Progress",
    "Result",
    "Silent",
    "Trainable",
    "TrainingOptions",
    "Updates",
    "choose_progress",
    "describe_machine",
    "figure",
    "percent",
    "read_checkpoint",
    "short_figure",
    "train",
    "truncated",
]
