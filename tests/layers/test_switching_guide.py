"""The switch-over guide: its code runs, and its tables name what there is."""

import inspect
import re
from pathlib import Path

import pytest
import torch

import recurra.layers
from recurra.layers import Recurrent

PAGE = (Path(__file__).parents[2] / "docs" / "switching.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)


@pytest.mark.filterwarnings("error")
def test_the_blocks_of_the_page_run_from_top_to_bottom():
    assert len(BLOCKS) == 7
    names = {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for block in BLOCKS:
            exec(block, names)
    assert names["y"].shape == (20, 2, 8)  # the last window of the last loop


def test_every_option_of_the_layer_is_on_the_page():
    own = set(inspect.signature(Recurrent).parameters) - {"cell", "input_size", "hidden_size", "device", "dtype"}
    torchs = {"num_layers", "bias", "batch_first", "dropout", "bidirectional"}
    for option in own - torchs:
        name = "Initialisation" if option == "init" else option
        assert re.search(rf"\b{name}\b", PAGE), option


def test_every_layer_is_on_the_page():
    for name in set(recurra.layers.__all__) - {
        "BestPath",
        "Explanation",
        "LockedDropout",
        "Memory",
        "Readout",
        "SCORES",
        "StackMasks",
        "Step",
    }:
        assert re.search(rf"\b{name}\b", PAGE), name
