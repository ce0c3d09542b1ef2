"""Calls that code makes of recurrent modules, right and wrong: each runs on torch.nn's module and on ours.

A call is a function of the module class. The name of a call is what it does, so that a difference can refer to it.
"""

import numpy
import torch
from torch.nn.utils import skip_init
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence

X = torch.linspace(-1, 1, 30).view(5, 2, 3)  # (T, B, I)
ALONE = X[:, 0]  # (T, I)
PACKED = pack_sequence([X[:, 0], X[:3, 1]])


def zeros(*shape):
    return torch.zeros(shape)


def pair(*shape):
    return zeros(*shape), zeros(*shape)


BUILDING = {
    "the sizes by name": lambda layer: layer(input_size=3, hidden_size=4)(X),
    "layers by position": lambda layer: layer(3, 4, 2)(X),
    "no arguments": lambda layer: layer(),
    "one argument": lambda layer: layer(3),
    "an unknown argument": lambda layer: layer(3, 4, foo=1),
    "an argument twice": lambda layer: layer(3, 4, 1, num_layers=2),
    "dtype by name": lambda layer: layer(3, 4, dtype=torch.float64)(X.double()),
    "device by name": lambda layer: layer(3, 4, device="cpu")(X),
    "hidden_size=0": lambda layer: layer(3, 0),
    "hidden_size=-1": lambda layer: layer(3, -1),
    "hidden_size=4.0": lambda layer: layer(3, 4.0),
    "hidden_size='4'": lambda layer: layer(3, "4"),
    "hidden_size=None": lambda layer: layer(3, None),
    "hidden_size=[4, 4]": lambda layer: layer(3, [4, 4]),
    "hidden_size=(4, 4)": lambda layer: layer(3, (4, 4)),
    "hidden_size=True": lambda layer: layer(3, True),
    "hidden_size of numpy": lambda layer: layer(3, numpy.int64(4)),
    "hidden_size a tensor": lambda layer: layer(3, torch.tensor(4)),
    "input_size=0": lambda layer: layer(0, 4),
    "input_size=-1": lambda layer: layer(-1, 4),
    "input_size=3.0": lambda layer: layer(3.0, 4),
    "input_size='3'": lambda layer: layer("3", 4),
    "input_size=None": lambda layer: layer(None, 4),
    "input_size=True": lambda layer: layer(True, 4),
    "num_layers=0": lambda layer: layer(3, 4, 0),
    "num_layers=-1": lambda layer: layer(3, 4, -1),
    "num_layers=1.0": lambda layer: layer(3, 4, 1.0),
    "num_layers='1'": lambda layer: layer(3, 4, "1"),
    "num_layers=None": lambda layer: layer(3, 4, None),
    "num_layers=True": lambda layer: layer(3, 4, True)(X),
    "bias=0": lambda layer: layer(3, 4, bias=0),
    "bias=1": lambda layer: layer(3, 4, bias=1),
    "bias=None": lambda layer: layer(3, 4, bias=None),
    "bias='True'": lambda layer: layer(3, 4, bias="True"),
    "batch_first=0": lambda layer: layer(3, 4, batch_first=0),
    "batch_first=1": lambda layer: layer(3, 4, batch_first=1),
    "batch_first=None": lambda layer: layer(3, 4, batch_first=None),
    "batch_first='False'": lambda layer: layer(3, 4, batch_first="False"),
    "bidirectional=1": lambda layer: layer(3, 4, bidirectional=1)(X),
    "bidirectional=0": lambda layer: layer(3, 4, bidirectional=0)(X),
    "bidirectional=None": lambda layer: layer(3, 4, bidirectional=None)(X),
    "bidirectional='yes'": lambda layer: layer(3, 4, bidirectional="yes")(X),
    "dropout=0": lambda layer: layer(3, 4, 2, dropout=0)(X),
    "dropout=1": lambda layer: layer(3, 4, 2, dropout=1)(X),
    "dropout=1.0": lambda layer: layer(3, 4, 2, dropout=1.0)(X),
    "dropout=True": lambda layer: layer(3, 4, 2, dropout=True),
    "dropout=False": lambda layer: layer(3, 4, 2, dropout=False),
    "dropout=-0.1": lambda layer: layer(3, 4, 2, dropout=-0.1),
    "dropout=1.1": lambda layer: layer(3, 4, 2, dropout=1.1),
    "dropout=nan": lambda layer: layer(3, 4, 2, dropout=float("nan")),
    "dropout='0.5'": lambda layer: layer(3, 4, 2, dropout="0.5"),
    "dropout='half'": lambda layer: layer(3, 4, 2, dropout="half"),
    "dropout=None": lambda layer: layer(3, 4, 2, dropout=None),
    "dropout a tensor": lambda layer: layer(3, 4, 2, dropout=torch.tensor(0.5)),
    "dropout of numpy": lambda layer: layer(3, 4, 2, dropout=numpy.float32(0.5)).eval()(X),
    "skip_init": lambda layer: repr(skip_init(layer, 3, 4)),
    "an integer dtype": lambda layer: layer(3, 4, dtype=torch.int64),
    "a complex dtype": lambda layer: layer(3, 4, dtype=torch.complex64)(X.to(torch.complex64)),
}

RUNNING = {
    "x by name": lambda layer: layer(3, 4)(input=X),
    "x and hx by name": lambda layer: layer(3, 4)(input=X, hx=None),
    "no x": lambda layer: layer(3, 4)(),
    "x twice": lambda layer: layer(3, 4)(X, input=X),
    "state= by name": lambda layer: layer(3, 4)(X, state=None),
    "x of 0 dimensions": lambda layer: layer(3, 4)(zeros()),
    "x of 1 dimension": lambda layer: layer(3, 4)(zeros(3)),
    "x of 4 dimensions": lambda layer: layer(3, 4)(zeros(1, 5, 2, 3)),
    "x of other features": lambda layer: layer(3, 4)(zeros(5, 2, 4)),
    "x of no features": lambda layer: layer(3, 4)(zeros(5, 2, 0)),
    "x alone of other features": lambda layer: layer(3, 4)(zeros(5, 4)),
    "x of integers": lambda layer: layer(3, 4)(X.long()),
    "x of truth values": lambda layer: layer(3, 4)(X > 0),
    "x a list": lambda layer: layer(3, 4)(X.tolist()),
    "x of numpy": lambda layer: layer(3, 4)(X.numpy()),
    "x None": lambda layer: layer(3, 4)(None),
    "x of 0 steps": lambda layer: layer(3, 4)(X[:0]),
    "x alone of 0 steps": lambda layer: layer(3, 4)(ALONE[:0]),
    "x of 0 rows": lambda layer: layer(3, 4)(X[:, :0]),
    "x of 0 rows, batch first": lambda layer: layer(3, 4, batch_first=True)(X[:0]),
    "x nested": lambda layer: layer(3, 4)(torch.nested.nested_tensor([X[0], X[1]])),
    "x on another device": lambda layer: layer(3, 4)(X.to("meta")),
    "x packed of other features": lambda layer: layer(4, 4)(PACKED),
    "x packed of 3 dimensions": lambda layer: layer(3, 4)(pack_padded_sequence(zeros(3, 2, 3, 3), [3, 2])),
    "x packed of 1 dimension": lambda layer: layer(3, 4)(pack_padded_sequence(zeros(3, 2), [3, 2])),
    "x packed of integers": lambda layer: layer(3, 4)(pack_padded_sequence(zeros(3, 2, 3).long(), [3, 2])),
}

# States of RNN and GRU.
TENSOR_STATES = {
    "hx by position": lambda layer: layer(3, 4)(X, zeros(1, 2, 4)),
    "hx of 2 dimensions": lambda layer: layer(3, 4)(X, zeros(2, 4)),
    "hx of 4 dimensions": lambda layer: layer(3, 4)(X, zeros(1, 1, 2, 4)),
    "hx of 3 dimensions for x alone": lambda layer: layer(3, 4)(ALONE, zeros(1, 1, 4)),
    "hx of 1 dimension for x alone": lambda layer: layer(3, 4)(ALONE, zeros(4)),
    "hx of other layers": lambda layer: layer(3, 4)(X, zeros(2, 2, 4)),
    "hx of one direction for two": lambda layer: layer(3, 4, bidirectional=True)(X, zeros(1, 2, 4)),
    "hx of other rows": lambda layer: layer(3, 4)(X, zeros(1, 3, 4)),
    "hx of one row for two": lambda layer: layer(3, 4)(X, zeros(1, 1, 4)),
    "hx of other units": lambda layer: layer(3, 4)(X, zeros(1, 2, 5)),
    "hx of other units for x alone": lambda layer: layer(3, 4)(ALONE, zeros(1, 5)),
    "hx batch first": lambda layer: layer(3, 4, 2, batch_first=True)(X, zeros(5, 2, 4)),
    "hx of steps for rows": lambda layer: layer(3, 4, batch_first=True)(X, zeros(1, 2, 4)),
    "hx a tuple of one": lambda layer: layer(3, 4)(X, (zeros(1, 2, 4),)),
    "hx a list of one": lambda layer: layer(3, 4)(X, [zeros(1, 2, 4)]),
    "hx a tuple of two": lambda layer: layer(3, 4)(X, pair(1, 2, 4)),
    "hx a word": lambda layer: layer(3, 4)(X, "zero"),
    "hx of a packed batch": lambda layer: layer(3, 4)(PACKED, zeros(1, 2, 4)),
    "hx of other rows, packed": lambda layer: layer(3, 4)(PACKED, zeros(1, 3, 4)),
    "hx of other units, packed": lambda layer: layer(3, 4)(PACKED, zeros(1, 2, 5)),
    "hx of 2 dimensions, packed": lambda layer: layer(3, 4)(PACKED, zeros(2, 4)),
}

# States of LSTM.
PAIR_STATES = {
    "hx a tuple": lambda layer: layer(3, 4)(X, pair(1, 2, 4)),
    "hx a list": lambda layer: layer(3, 4)(X, list(pair(1, 2, 4))),
    "hx a list for x alone": lambda layer: layer(3, 4)(ALONE, list(pair(1, 4))),
    "hx a list, packed": lambda layer: layer(3, 4)(PACKED, list(pair(1, 2, 4))),
    "hx a tuple, packed": lambda layer: layer(3, 4)(PACKED, pair(1, 2, 4)),
    "hx a tensor": lambda layer: layer(3, 4)(X, zeros(1, 2, 4)),
    "hx h and c stacked": lambda layer: layer(3, 4)(X, zeros(2, 1, 2, 4)),
    "hx a tuple of one": lambda layer: layer(3, 4)(X, (zeros(1, 2, 4),)),
    "hx a tuple of three": lambda layer: layer(3, 4)(X, (*pair(1, 2, 4), zeros(1, 2, 4))),
    "c None": lambda layer: layer(3, 4)(X, (zeros(1, 2, 4), None)),
    "h and c None": lambda layer: layer(3, 4)(X, (None, None)),
    "h and c of 2 dimensions": lambda layer: layer(3, 4)(X, pair(2, 4)),
    "h and c of 3 dimensions for x alone": lambda layer: layer(3, 4)(ALONE, pair(1, 1, 4)),
    "h and c of other layers": lambda layer: layer(3, 4)(X, pair(2, 2, 4)),
    "h and c of other rows": lambda layer: layer(3, 4)(X, pair(1, 3, 4)),
    "h and c of other rows, packed": lambda layer: layer(3, 4)(PACKED, pair(1, 3, 4)),
    "h and c of 2 dimensions, packed": lambda layer: layer(3, 4)(PACKED, pair(1, 4)),
    "c of other rows": lambda layer: layer(3, 4)(X, (zeros(1, 2, 4), zeros(1, 3, 4))),
    "c of other units": lambda layer: layer(3, 4)(X, (zeros(1, 2, 4), zeros(1, 2, 5))),
    "h of other units": lambda layer: layer(3, 4)(X, (zeros(1, 2, 5), zeros(1, 2, 4))),
    "proj_size=2": lambda layer: layer(3, 4, proj_size=2)(X, (zeros(1, 2, 2), zeros(1, 2, 4))),
    "proj_size=2, h not projected": lambda layer: layer(3, 4, proj_size=2)(X, pair(1, 2, 4)),
    "proj_size=2, c projected": lambda layer: layer(3, 4, proj_size=2)(X, pair(1, 2, 2)),
    "proj_size=4 of 4 units": lambda layer: layer(3, 4, proj_size=4),
    "proj_size=5 of 4 units": lambda layer: layer(3, 4, proj_size=5),
    "proj_size=-1": lambda layer: layer(3, 4, proj_size=-1),
    "proj_size=2.0": lambda layer: layer(3, 4, proj_size=2.0),
    "proj_size=None": lambda layer: layer(3, 4, proj_size=None),
    "nonlinearity=": lambda layer: layer(3, 4, nonlinearity="tanh"),
    "all by position": lambda layer: layer(3, 4, 2, False, True, 0.0, True, 2, "cpu", torch.float64)(X.double()),
}

# Of RNN alone, and of GRU alone.
RNN_ALONE = {
    "nonlinearity=relu": lambda layer: layer(3, 4, nonlinearity="relu")(X),
    "nonlinearity by position": lambda layer: layer(3, 4, 1, "relu", False, True)(X),
    "nonlinearity unknown": lambda layer: layer(3, 4, nonlinearity="garbage"),
    "nonlinearity=None": lambda layer: layer(3, 4, nonlinearity=None),
    "nonlinearity=1": lambda layer: layer(3, 4, nonlinearity=1),
    "nonlinearity='TANH'": lambda layer: layer(3, 4, nonlinearity="TANH"),
    "nonlinearity=gelu": lambda layer: layer(3, 4, nonlinearity="gelu"),
    "nonlinearity a function": lambda layer: layer(3, 4, nonlinearity=torch.sin),
    "proj_size=2": lambda layer: layer(3, 4, proj_size=2),
}
GRU_ALONE = {
    "nonlinearity=": lambda layer: layer(3, 4, nonlinearity="tanh"),
    "proj_size=2": lambda layer: layer(3, 4, proj_size=2),
    "proj_size=0": lambda layer: layer(3, 4, proj_size=0),
}

CELL_CALLS = {
    "the sizes by name": lambda cell: cell(input_size=3, hidden_size=4)(X[0]),
    "no arguments": lambda cell: cell(),
    "an unknown argument": lambda cell: cell(3, 4, foo=1),
    "bias by position": lambda cell: cell(3, 4, False)(X[0]),
    "bias=1": lambda cell: cell(3, 4, bias=1)(X[0]),
    "bias=None": lambda cell: cell(3, 4, bias=None)(X[0]),
    "hidden_size=-1": lambda cell: cell(3, -1),
    "hidden_size=4.0": lambda cell: cell(3, 4.0),
    "hidden_size='4'": lambda cell: cell(3, "4"),
    "hidden_size=None": lambda cell: cell(3, None),
    "input_size=-1": lambda cell: cell(-1, 4),
    "input_size='3'": lambda cell: cell("3", 4),
    "skip_init": lambda cell: repr(skip_init(cell, 3, 4)),
    "x by name": lambda cell: cell(3, 4)(input=X[0]),
    "x of 0 dimensions": lambda cell: cell(3, 4)(zeros()),
    "x of 3 dimensions": lambda cell: cell(3, 4)(X),
    "x of other features": lambda cell: cell(3, 4)(zeros(2, 5)),
    "x alone of other features": lambda cell: cell(3, 4)(zeros(5)),
    "x a list": lambda cell: cell(3, 4)([1.0, 2.0, 3.0]),
    "x None": lambda cell: cell(3, 4)(None),
    "x of integers": lambda cell: cell(3, 4)(X[0].long()),
    "x of 0 rows": lambda cell: cell(3, 4)(X[0, :0]),
    "x alone": lambda cell: cell(3, 4)(X[0, 0]),
    "half precision": lambda cell: cell(3, 4).half()(X[0].half()),
    "bfloat16": lambda cell: cell(3, 4).bfloat16()(X[0].bfloat16()),
}
TENSOR_STEPS = {
    "hx": lambda cell: cell(3, 4)(X[0], zeros(2, 4)),
    "hx of other rows": lambda cell: cell(3, 4)(X[0], zeros(3, 4)),
    "hx of one row for two": lambda cell: cell(3, 4)(X[0], zeros(1, 4)),
    "hx of other units": lambda cell: cell(3, 4)(X[0], zeros(2, 5)),
    "hx of 1 dimension": lambda cell: cell(3, 4)(X[0], zeros(4)),
    "hx of 3 dimensions": lambda cell: cell(3, 4)(X[0], zeros(1, 2, 4)),
    "hx of 4 dimensions": lambda cell: cell(3, 4)(X[0], zeros(2, 1, 1, 4)),
    "hx of a batch for x alone": lambda cell: cell(3, 4)(X[0, 0], zeros(1, 4)),
    "hx a word": lambda cell: cell(3, 4)(X[0], "zero"),
    "hx a tuple of one": lambda cell: cell(3, 4)(X[0], (zeros(2, 4),)),
    "hx a tuple of two": lambda cell: cell(3, 4)(X[0], pair(2, 4)),
}
PAIR_STEPS = {
    "hx a tuple": lambda cell: cell(3, 4)(X[0], pair(2, 4)),
    "hx a list": lambda cell: cell(3, 4)(X[0], list(pair(2, 4))),
    "hx a tensor": lambda cell: cell(3, 4)(X[0], zeros(2, 4)),
    "hx h and c stacked": lambda cell: cell(3, 4)(X[0], zeros(2, 2, 4)),
    "hx a tuple of one": lambda cell: cell(3, 4)(X[0], (zeros(2, 4),)),
    "hx a tuple of three": lambda cell: cell(3, 4)(X[0], (*pair(2, 4), zeros(2, 4))),
    "h and c of other rows": lambda cell: cell(3, 4)(X[0], pair(3, 4)),
    "h and c of other units": lambda cell: cell(3, 4)(X[0], pair(2, 5)),
    "c of other units": lambda cell: cell(3, 4)(X[0], (zeros(2, 4), zeros(2, 5))),
    "h and c of 1 dimension": lambda cell: cell(3, 4)(X[0], pair(4)),
    "h and c of 3 dimensions": lambda cell: cell(3, 4)(X[0], pair(1, 2, 4)),
    "c None": lambda cell: cell(3, 4)(X[0], (zeros(2, 4), None)),
}
RNN_STEPS = {
    "nonlinearity=relu": lambda cell: cell(3, 4, nonlinearity="relu")(X[0]),
    "nonlinearity by position": lambda cell: cell(3, 4, True, "relu")(X[0]),
    "nonlinearity unknown": lambda cell: cell(3, 4, nonlinearity="garbage"),
    "nonlinearity gelu": lambda cell: cell(3, 4, nonlinearity="gelu")(X[0]),
}

CALLS = {
    "RNN": {**BUILDING, **RUNNING, **TENSOR_STATES, **RNN_ALONE},
    "LSTM": {**BUILDING, **RUNNING, **PAIR_STATES},
    "GRU": {**BUILDING, **RUNNING, **TENSOR_STATES, **GRU_ALONE},
    "RNNCell": {**CELL_CALLS, **TENSOR_STEPS, **RNN_STEPS},
    "LSTMCell": {**CELL_CALLS, **PAIR_STEPS},
    "GRUCell": {**CELL_CALLS, **TENSOR_STEPS},
}
