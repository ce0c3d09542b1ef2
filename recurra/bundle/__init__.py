"""A trained model as a folder on disk."""

from recurra.bundle.bundle import (
    count_parameters,
    load,
    load_weights_into,
    read_config,
    read_metrics,
    save,
)
from recurra.bundle.folder import check_free, check_has_checkpoint, check_resumable, making, resuming
from recurra.bundle.names import CHECKPOINT, CONFIG, LOG, METRICS, RECIPE, SEEDS, TRAINING, has_begun, mark_training
from recurra.bundle.replacement import begun_place, settle_for_reading

__all__ = [
    "CHECKPOINT",
    "CONFIG",
    "LOG",
    "METRICS",
    "RECIPE",
    "SEEDS",
    "TRAINING",
    "begun_place",
    "check_free",
    "check_has_checkpoint",
    "check_resumable",
    "count_parameters",
    "has_begun",
    "load",
    "load_weights_into",
    "making",
    "mark_training",
    "read_config",
    "read_metrics",
    "resuming",
    "save",
    "settle_for_reading",
]
