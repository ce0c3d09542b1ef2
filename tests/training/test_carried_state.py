from collections import namedtuple

import pytest
import torch

from recurra.errors import RecurraError
from recurra.training.carried_state import detach, from_plain, tensors, to_plain

State = namedtuple("State", ("h", "c"))


def nest():
    y = torch.arange(24.0, requires_grad=True).reshape(2, 3, 4) * 2
    return (State(h=y[-1], c=y[:, 1]), [None, {"position": 3, 7: y[0, 0]}], "name")


def test_detach_cuts_the_graph_and_keeps_the_structure():
    given = nest()
    got = detach(given)
    assert isinstance(got[0], State)
    assert got[1][0] is None
    assert got[1][1]["position"] == 3
    assert got[2] == "name"
    pairs = list(zip(tensors(given), tensors(got), strict=True))
    assert len(pairs) == 3
    for before, after in pairs:
        assert torch.equal(before, after)
        assert not after.requires_grad
        assert after.is_contiguous()
        # a view would keep the whole window alive
        assert after.untyped_storage().nbytes() == after.numel() * 4


def test_gradient_does_not_pass():
    w = torch.ones(2, requires_grad=True)
    (detach((w * 3,))[0] * w).sum().backward()
    assert torch.equal(w.grad, torch.tensor([3.0, 3.0]))


def test_plain_and_back(tmp_path):
    given = detach(nest())
    torch.save(to_plain(given), tmp_path / "state.pt")
    got = from_plain(torch.load(tmp_path / "state.pt", weights_only=True))
    assert type(got) is tuple
    assert type(got[0]).__name__ == "State"
    assert got[0]._fields == ("h", "c")
    assert torch.equal(got[0].c, given[0].c)
    assert got[1][0] is None
    assert torch.equal(got[1][1][7], given[1][1][7])
    assert from_plain(to_plain(None)) is None
    assert from_plain(to_plain(())) == ()


def test_what_cannot_be_carried_is_refused():
    for walk in (detach, to_plain):
        with pytest.raises(RecurraError, match="carried state holds a set"):
            walk(({1, 2},))
