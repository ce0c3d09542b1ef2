"""A tagger out of its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recurra.cells import Cell
from recurra.data.spans import SCHEMES
from recurra.errors import InputError
from recurra.tasks.cell_names import stored_cell
from recurra.tasks.fields import read_fields
from recurra.tasks.tagger.codec import Codec
from recurra.tasks.tagger.layout import Layout
from recurra.tasks.tagger.model import Tagger
from recurra.tasks.tagger.options import NetworkOptions
from recurra.tasks.tagger.pretrained import load_pretrained
from recurra.tasks.tagger.vocabulary import load_vocabulary

_FIELDS = {"layout", "network", "scheme", "vectors", "language_model"}


def load(config: dict[str, Any], folder: Path, *, cell: Cell | None = None) -> Tagger:
    """The tagger that `Tagger.config` and the files in `folder` describe, its weights still to be loaded.

    Raises:
        InputError: a field is missing, unknown or of another kind, or does not fit the vocabulary.
    """
    path = folder / "config.json"
    if config.keys() != _FIELDS or not isinstance(config["network"], dict):
        wanted = ", ".join(sorted(_FIELDS))
        raise InputError(f"{path}: the model's fields are {sorted(config)}, expected {wanted}")
    if config["scheme"] not in (None, *SCHEMES):
        raise InputError(f"{path}: scheme is {config['scheme']!r}, expected null or one of {', '.join(SCHEMES)}")
    layout = Layout.from_config(config["layout"], where=f"{path}: layout")
    options = read_fields(NetworkOptions, config["network"], where=f"{path}: network")
    codec = Codec(load_vocabulary(folder, layout), layout, config["scheme"], load_pretrained(config, folder))
    return Tagger.new(codec, options, stored_cell(options.recurrent, folder, cell))
