"""What stands around every cell: normalisation, recurrent dropout, zoneout, projection, the gates that are kept."""

import itertools

import flag_oracle
import pytest
import table
import torch
from test_conformance import CELL_NAMES, assert_same, change, make, on_every_engine

from recurra.cells import CELLS, Cell, Norms, State, Weights, find_cell
from recurra.engine import Masks, choose, run
from recurra.errors import InputError

# Each row is a request; every pair of settings of any two columns occurs in two of the eight rows.
FACTORS = ("norm", "drop", "zoneout", "projection", "ragged", "reverse", "bias")
ROWS = [
    dict(zip(FACTORS, (a, b, c, a ^ b, a ^ c, b ^ c, not a ^ b ^ c), strict=True))
    for a, b, c in itertools.product((False, True), repeat=3)
]
EVERYTHING = dict.fromkeys(FACTORS, True)


def label(row):
    return "+".join(name for name in FACTORS if row[name]) or "plain"


def square(name):
    """Whether the recurrent matrix is a function of a square one, which cannot be projected."""
    cell = table.MADE[name]()
    return getattr(type(cell), "recurrent_weight", None) is not getattr(Cell, "recurrent_weight", None)


def build(name, row, *, T=5, B=3, I=4, H=6, P=4, seed=0, given=None):
    """A request with the options of a row, in float64; the projection is left out where the matrix must be square."""
    plain = make(name, T=T, B=B, I=I, H=H, bias=row["bias"], seed=seed, **(given or {}))
    cell, g = plain.cell, torch.Generator().manual_seed(seed + 1)
    weights, state = plain.weights, plain.state

    def normal(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    def bernoulli(p, *shape):
        return torch.empty(*shape, dtype=torch.float64).bernoulli_(p, generator=g)

    R, projected = len(cell.recurrent), row["projection"] and not square(name)
    if projected:
        weights = weights._replace(hh=normal(R * H, P) / 2, hr=normal(P, H) / 2)
        if not cell.formula.reads_h:
            state = State(**{**state._asdict(), "h": normal(B, P)})
    if row["norm"]:
        pairs = tuple((normal(H), normal(H)) for _ in cell.formula.normalised)
        weights = weights._replace(norms=Norms(normal(len(cell.gates) * H), normal(R * H), pairs))
    drop = bernoulli(0.5, B, P if projected else H) * 2 if row["drop"] else None
    zoneout = tuple(bernoulli(0.5, T, B, s.shape[1]) for s in state) if row["zoneout"] else ()
    lengths = torch.tensor([T, 1, T - 1][:B]) if row["ragged"] else None
    return change(
        plain, weights=weights, state=state, masks=Masks(drop, zoneout), lengths=lengths, reverse=row["reverse"]
    )


@pytest.mark.parametrize("row", [*ROWS, EVERYTHING], ids=label)
@pytest.mark.parametrize("name", [name for name in CELL_NAMES if not square(name)])
def test_equals_numpy_with_every_option(name, row):
    request = build(name, row)
    lengths = [5, 1, 4] if row["ragged"] else [5, 5, 5]
    y, last = flag_oracle.run(name, request, lengths, request.cell.formula.reads_h)
    result = run(request)
    torch.testing.assert_close(result.y, torch.from_numpy(y), rtol=0, atol=1e-12)
    for got, want in zip(result.state, last, strict=True):
        torch.testing.assert_close(got, torch.from_numpy(want), rtol=0, atol=1e-12)


def leaves(request):
    """The tensors that take part, by name."""
    found = {"x": request.x, **{f"state {name}": tensor for name, tensor in request.state._asdict().items()}}
    for name in ("ih", "hh", "b_ih", "b_hh", "hr"):
        tensor = getattr(request.weights, name)
        if tensor is not None and tensor.numel():
            found[name] = tensor
    found |= {f"vector {k}": vector for k, vector in enumerate(request.weights.vectors)}
    if request.weights.norms is not None:
        ih, hh, pairs = request.weights.norms
        found |= {"gain ih": ih, **({"gain hh": hh} if hh.numel() else {})}
        found |= {f"norm {k}": tensor for k, tensor in enumerate(itertools.chain(*pairs))}
    return found


def with_leaves(request, tensors):
    """The request with other tensors in the places of its leaves."""
    state = State(**{name: tensors[f"state {name}"] for name in request.state._fields})
    weights = request.weights
    plain = {name: tensors.get(name, getattr(weights, name)) for name in ("ih", "hh", "b_ih", "b_hh", "hr")}
    vectors, norms = tuple(tensors[f"vector {k}"] for k in range(len(weights.vectors))), None
    if weights.norms is not None:
        flat = [tensors[f"norm {k}"] for k in range(2 * len(weights.norms.states))]
        pairs = tuple(zip(flat[::2], flat[1::2], strict=True))
        norms = Norms(tensors["gain ih"], tensors.get("gain hh", weights.norms.hh), pairs)
    return change(request, x=tensors["x"], state=state, weights=Weights(**plain, vectors=vectors, norms=norms))


ONE_OPTION = [{**dict.fromkeys(FACTORS, False), "bias": True, name: True} for name in FACTORS[:4]]


@pytest.mark.parametrize("row", [*ONE_OPTION, EVERYTHING], ids=label)
@pytest.mark.parametrize("name", CELL_NAMES)
def test_gradients_pass_gradcheck_with_every_option(name, row):
    request = build(name, row, T=3, B=2, I=2, H=3, P=2)
    found = leaves(request)

    def outputs(*tensors):
        result = run(with_leaves(request, dict(zip(found, tensors, strict=True))))
        return (result.y, *result.state)

    # In fast mode one random direction of each input and output, which a wrong derivative has no way to pass.
    inputs = [tensor.clone().requires_grad_() for tensor in found.values()]
    assert torch.autograd.gradcheck(outputs, inputs, fast_mode=True)


@pytest.mark.parametrize("name", CELL_NAMES)
def test_chunks_with_the_masks_kept_equal_the_whole(name):
    request = build(name, {**EVERYTHING, "ragged": False, "reverse": False})
    whole, state, pieces = run(request), request.state, []
    for start, stop in ((0, 2), (2, 3), (3, 5)):
        masks = request.masks._replace(zoneout=tuple(mask[start:stop] for mask in request.masks.zoneout))
        result = run(change(request, x=request.x[start:stop], state=state, masks=masks))
        pieces.append(result.y)
        state = result.state
    assert_same(whole._replace(y=torch.cat(pieces), state=state), whole, rtol=0, atol=1e-13)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("name", CELL_NAMES)
def test_a_padded_row_equals_the_row_alone_with_its_masks(name, reverse):
    request = build(name, {**EVERYTHING, "reverse": reverse})
    result = run(request)
    for row, length in enumerate(request.lengths.tolist()):
        zoneout = tuple(mask[:length, row : row + 1] for mask in request.masks.zoneout)
        masks = Masks(request.masks.h[row : row + 1], zoneout)
        state = request.state.select(torch.tensor([row]))
        x = request.x[:length, row : row + 1]
        alone = run(change(request, x=x, lengths=None, state=state, masks=masks))
        torch.testing.assert_close(result.y[:length, row : row + 1], alone.y, rtol=0, atol=1e-13)
        assert (result.y[length:, row] == 0).all()
        for got, want in zip(result.state, alone.state, strict=True):
            torch.testing.assert_close(got[row], want[0], rtol=0, atol=1e-13)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("name", CELL_NAMES)
def test_the_gates_that_are_kept_are_those_of_each_step(name, reverse):
    request = build(name, {**EVERYTHING, "zoneout": False, "norm": False, "reverse": reverse})
    kept = run(change(request, keep=True)).kept
    assert kept._fields == request.cell.formula.shown
    state = request.state
    order = range(4, -1, -1) if reverse else range(5)
    for t in order:  # row 0 has all five steps
        one = change(request, x=request.x[t : t + 1], state=state, lengths=None, keep=True)
        result = run(one)
        for name, gate in result.kept._asdict().items():
            torch.testing.assert_close(kept._asdict()[name][t, 0], gate[0, 0], rtol=0, atol=1e-13)
        state = result.state
    for gate in kept:
        assert gate.shape == (5, 3, 6)
        assert (gate[1:, 1] == 0).all()


@on_every_engine
def test_no_engine_keeps_gates_unasked(name, engine):
    assert run(make(name), engine).kept is None


def test_no_steps_keep_no_gates():
    assert run(change(make("lstm", T=0), keep=True)).kept.i.shape == (0, 3, 6)


@pytest.mark.parametrize("name", CELL_NAMES)
def test_a_unit_that_is_zoned_out_stays_and_the_others_move(name):
    request = make(name, T=1)
    stays = torch.zeros(1, 3, 6, dtype=torch.float64)
    stays[..., :3] = 1
    free = run(request, "unroll")
    masks = Masks(None, (stays,) * len(request.state))
    result = run(change(request, masks=masks))
    for old, new, got in zip(request.state, free.state, result.state, strict=True):
        assert torch.equal(got[:, :3], old[:, :3])
        assert torch.equal(got[:, 3:], new[:, 3:])


# Where the recurrent matrix is a function of the parameter, it is not 0 where the parameter is.
@pytest.mark.parametrize("name", [name for name in CELL_NAMES if not square(name)])
def test_h_that_is_dropped_whole_leaves_no_recurrent_product(name):
    request = make(name)
    none = change(request, masks=Masks(torch.zeros(3, 6, dtype=torch.float64)))
    without = change(request, weights=request.weights._replace(hh=torch.zeros_like(request.weights.hh)))
    assert_same(run(none), run(without, "unroll"), rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"masks": Masks(torch.ones(3, 6, dtype=torch.float64))}, "no recurrent dropout"),
        ({"masks": Masks(None, (torch.zeros(5, 3, 6), None))}, "no zoneout"),
        ({"keep": True}, "does not return its gates"),
    ],
)
def test_torch_kernels_refuse_what_stands_around_the_cell_and_say_so(fields, reason):
    request = change(make("lstm"), **fields)
    assert choose(request).engine == "unroll"
    assert reason in choose(request).why
    with pytest.raises(InputError, match=f"engine 'native' cannot run this: .*{reason}"):
        run(request, "native")


def test_torch_kernels_refuse_layer_normalisation():
    assert "layer normalisation" in choose(build("lstm", ONE_OPTION[0])).why


def test_masks_that_drop_nothing_leave_torch_its_kernels():
    assert choose(change(make("lstm"), masks=Masks(None, (None, None)))).engine == "native"


def test_every_cell_that_normalises_a_state_has_an_oracle():
    normalising = {name for name in CELLS if find_cell(name).formula.normalised}
    assert "lstm" in normalising
    assert normalising <= set(flag_oracle.NORMALISED)
