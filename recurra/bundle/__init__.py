"""A trained model as a folder on disk."""

from recurra.bundle.bundle import (
    CONFIG,
    FILES,
    METRICS,
    count_parameters,
    load,
    load_weights_into,
    read_config,
    read_metrics,
    save,
)
from recurra.bundle.files import replace_file, to_json

__all__ = [
    "CONFIG",
    "FILES",
    "METRICS",
    "count_parameters",
    "load",
    "load_weights_into",
    "read_config",
    "read_metrics",
    "replace_file",
    "save",
    "to_json",
]
