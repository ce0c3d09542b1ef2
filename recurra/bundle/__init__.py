"""A trained model as a folder on disk."""

from recurra.bundle.bundle import (
    CONFIG,
    METRICS,
    count_parameters,
    load,
    load_weights_into,
    read_config,
    read_metrics,
    save,
)
from recurra.bundle.folder import CHECKPOINT, LOG, RECIPE, SEEDS, TRAINING, check_free, replacing

__all__ = [
    "CHECKPOINT",
    "CONFIG",
    "LOG",
    "METRICS",
    "RECIPE",
    "SEEDS",
    "TRAINING",
    "check_free",
    "count_parameters",
    "load",
    "load_weights_into",
    "read_config",
    "read_metrics",
    "replacing",
    "save",
]
