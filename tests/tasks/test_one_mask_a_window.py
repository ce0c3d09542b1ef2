"""A window that is read in two calls, up to the state carried on and past it, drops the same units in both."""

import pytest
import torch

from recurra.tasks.fields import read_fields
from recurra.tasks.language_model.network import Network
from recurra.tasks.language_model.options import NetworkOptions

SIZES = {"hidden_size": 10, "embedding_size": 4, "num_layers": 2, "dropout": 0.0}


def network_options(**options):
    return read_fields(NetworkOptions, {**SIZES, **options}, where="test")


@pytest.mark.parametrize(
    "drops",
    [
        {"weight_drop": 0.5},
        {"recurrent_dropout": 0.5},
        {"locked_dropout": True, "dropout": 0.5},
        {"weight_drop": 0.4, "recurrent_dropout": 0.3, "locked_dropout": True, "dropout": 0.5},
    ],
    ids="+".join,
)
def test_a_window_cut_at_the_carry_equals_the_whole(drops):
    torch.manual_seed(0)
    network = Network(7, network_options(**drops)).train()
    tokens = torch.randint(7, (12, 3))

    def run(carry):
        torch.manual_seed(1)
        return network(tokens, network.initial_state(3), carry=carry)

    torch.testing.assert_close(run(5).h, run(12).h)


def test_what_changes_from_step_to_step_is_drawn_for_all_steps():
    torch.manual_seed(0)
    network = Network(7, network_options(zoneout=0.5)).train()
    network.recurrent.dropout = 0.5
    tokens, drawn = torch.randint(7, (12, 3)), []
    draw = network.recurrent.draw_masks
    network.recurrent.draw_masks = lambda rows, steps=None: drawn.append(draw(rows, steps)) or drawn[-1]
    torch.manual_seed(1)
    cut = network(tokens, network.initial_state(3), carry=5)
    (masks,) = drawn
    h, _ = network.recurrent(network.embedding(tokens), network.initial_state(3), masks=masks)
    torch.testing.assert_close(cut.h, h)


def test_in_evaluation_nothing_is_drawn():
    torch.manual_seed(0)
    options = {"zoneout": 0.2, "weight_drop": 0.5, "recurrent_dropout": 0.5}
    network = Network(7, network_options(dropout=0.5, **options)).eval()
    tokens, state = torch.randint(7, (12, 3)), network.initial_state(3)
    torch.testing.assert_close(network(tokens, state, carry=5).h, network(tokens, state).h)
