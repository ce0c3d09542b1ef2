"""Where recurra differs from torch.nn on purpose.

docs/switching.md has one row for each of `DIFFERENCES`; test_suite_differences.py holds the page to them, and has a
check for each. `EXCEPTIONS` names the calls of calls.py whose outcome is not torch's, by the difference they show.
"""

from typing import NamedTuple

from recurra.errors import InputError, InputShapeError, InputTypeError

LAYERS = ("RNN", "LSTM", "GRU")
CELLS = ("RNNCell", "LSTMCell", "GRUCell")


class Difference(NamedTuple):
    """One row of the page."""

    what: str
    torch: str
    ours: str
    why: str


DIFFERENCES = {
    "class": Difference(
        "`isinstance(m, nn.LSTM)`, `nn.GRU`, `nn.RNN`",
        "true",
        "false for the layers, which are `nn.RNNBase`; true for `nn.LSTMCell`, `nn.GRUCell`, `nn.RNNCell`",
        "torch.compile refuses to trace any `nn.LSTM`, `nn.GRU` or `nn.RNN`; ask for `nn.RNNBase`",
    ),
    "quantization": Difference(
        "`torch.ao.quantization.quantize_dynamic`",
        "replaces the layer",
        "leaves the layer in floating point and warns",
        "it replaces exact classes only: replace the layer by `layer.to_torch()` before",
    ),
    "script": Difference(
        "`torch.jit.script`",
        "compiles the layer",
        "compiles `layer.to_torch()` in its place; refuses a layer with options that torch.nn lacks",
        "TorchScript cannot compile cells written in Python",
    ),
    "fx": Difference(
        "`torch.fx.symbolic_trace`",
        "keeps the layer as one node",
        "`InputError`",
        "only modules of torch.nn are nodes: use torch.export, or a `Tracer` whose `is_leaf_module` is true for it",
    ),
    "no steps": Difference(
        "a sequence of 0 steps",
        "RuntimeError",
        "y with 0 steps, and the initial state",
        "the last window of a sequence may be empty",
    ),
    "nested": Difference(
        "nested tensors",
        "RNN and GRU run, LSTM raises",
        "`InputError`",
        "`lengths=` and packed sequences do the same",
    ),
    "errors": Difference(
        "`x` or `hx` that is not a tensor, `hx` with too few tensors",
        "AttributeError, IndexError",
        "`InputError`, which is also a TypeError or RuntimeError",
        "the message states what was expected",
    ),
    "projection": Difference(
        "`proj_size=` of RNN and GRU",
        "ValueError",
        "projects",
        "an option of `Recurrent`",
    ),
    "nonlinearity": Difference(
        "`nonlinearity=` other than tanh and relu",
        "ValueError; RNNCell raises at its first step",
        "any activation by name, or a function; an unknown name is refused when the module is made",
        "an option of the cell",
    ),
    "skip_init": Difference(
        "`torch.nn.utils.skip_init(nn.LSTM, …)`",
        "RuntimeError",
        "works",
        "the constructors name `device`",
    ),
    "tuple": Difference(
        "`hx` of RNNCell and GRUCell as a tuple of one tensor",
        "AttributeError",
        "accepted",
        "a `State` of recurra is such a tuple",
    ),
    "truth": Difference(
        "True as a size: `nn.LSTM(40, 64, True)`",
        "a number, or TypeError at the first call",
        "`InputError` when the module is made",
        "such a call has an argument in the wrong position",
    ),
    "dropout": Difference(
        "`dropout=` of a packed batch, from one seed",
        "drops some numbers",
        "drops others, at the same rate; of a padded batch the same ones",
        "a packed batch is run padded, so that more numbers are drawn",
    ),
    "flat weights": Difference(
        "setting `_flat_weights` to other tensors",
        "the layer computes with them",
        "refused",
        "the layer computes with the attributes `weight_hh_l0` and so on: set those",
    ),
}


class Expected(NamedTuple):
    """What a call gives where its outcome is not torch's: a type of error, or None where it works."""

    difference: str
    torch: type[Exception] | None
    ours: type[Exception] | None


_ATTRIBUTE, _INDEX = ("errors", AttributeError, InputTypeError), ("errors", IndexError, InputShapeError)
_TENSOR_KINDS = ("RNN", "GRU")
EXCEPTIONS = {
    **{(kind, f"x {what}"): Expected(*_ATTRIBUTE) for kind in LAYERS for what in ("a list", "of numpy", "None")},
    **{(kind, f"x {what}"): Expected(*_ATTRIBUTE) for kind in CELLS for what in ("a list", "None")},
    **{
        (kind, f"hx a {what}"): Expected(*_ATTRIBUTE)
        for kind in _TENSOR_KINDS
        for what in ("tuple of one", "list of one", "tuple of two", "word")
    },
    ("RNNCell", "hx a word"): Expected(*_ATTRIBUTE),
    ("GRUCell", "hx a word"): Expected(*_ATTRIBUTE),
    ("RNNCell", "hx a tuple of two"): Expected("errors", AttributeError, InputShapeError),
    ("GRUCell", "hx a tuple of two"): Expected("errors", AttributeError, InputShapeError),
    ("LSTM", "c None"): Expected(*_ATTRIBUTE),
    ("LSTM", "h and c None"): Expected(*_ATTRIBUTE),
    ("LSTMCell", "c None"): Expected(*_ATTRIBUTE),
    ("LSTM", "hx a tensor"): Expected("errors", IndexError, InputTypeError),
    ("LSTM", "hx a tuple of one"): Expected(*_INDEX),
    ("LSTM", "h and c of 2 dimensions, packed"): Expected(*_INDEX),
    # torch.nn.LSTM alone does not look at the type of a packed sequence.
    ("LSTM", "x packed of integers"): Expected("errors", RuntimeError, InputError),
    **{
        (kind, f"{x} of 0 steps"): Expected("no steps", RuntimeError, None) for kind in LAYERS for x in ("x", "x alone")
    },
    ("RNN", "x nested"): Expected("nested", None, InputTypeError),
    ("GRU", "x nested"): Expected("nested", None, InputTypeError),
    ("LSTM", "x nested"): Expected("nested", NotImplementedError, InputTypeError),
    ("RNN", "proj_size=2"): Expected("projection", ValueError, None),
    ("GRU", "proj_size=2"): Expected("projection", ValueError, None),
    ("GRU", "proj_size=0"): Expected("projection", ValueError, None),
    ("RNN", "nonlinearity=gelu"): Expected("nonlinearity", ValueError, None),
    ("RNN", "nonlinearity a function"): Expected("nonlinearity", ValueError, None),
    ("RNNCell", "nonlinearity gelu"): Expected("nonlinearity", RuntimeError, None),
    ("RNNCell", "nonlinearity unknown"): Expected("nonlinearity", None, InputError),
    **{(kind, "skip_init"): Expected("skip_init", RuntimeError, None) for kind in LAYERS},
    ("RNNCell", "hx a tuple of one"): Expected("tuple", AttributeError, None),
    ("GRUCell", "hx a tuple of one"): Expected("tuple", AttributeError, None),
    **{(kind, "input_size=True"): Expected("truth", None, InputTypeError) for kind in LAYERS},
    ("LSTM", "hidden_size=True"): Expected("truth", None, InputTypeError),
    ("GRU", "hidden_size=True"): Expected("truth", None, InputTypeError),
}
