"""Operators that people write in a step: compiled, each number as in the reference, or refused with their name."""

import math

import pytest
import torch
import torch.nn.functional as F

from recurra.cells import Cell, Gates, State, Weights
from recurra.engine import Request, choose, run
from recurra.errors import InputError

H = 8


def positive(z):
    return z * z + 0.1


def inside(z):
    return 0.9 * torch.tanh(z)


ACTIVATIONS = [
    "logsigmoid", "softplus", "silu", "gelu", "mish", "elu", "selu", "celu", "leaky_relu", "hardtanh", "hardsigmoid",
    "hardswish", "relu6", "softsign", "tanhshrink", "softshrink", "hardshrink", "relu",
]  # fmt: skip
OF_ALL = [
    "square", "exp2", "erf", "erfc", "sin", "cos", "tan", "atan", "sinh", "cosh", "tanh", "sigmoid", "exp", "expm1",
    "asinh", "sign", "sgn", "trunc", "round", "frac", "floor", "ceil", "reciprocal", "abs", "neg", "nan_to_num", "sinc",
    "deg2rad", "positive",
]  # fmt: skip
CONDITIONS = ["isnan", "isinf", "isfinite", "signbit"]
POWERS = [0, 1, 2, 3, 4, 0.5, -0.5, -1, -2, 1.5, 1 / 3]
ONE = {
    **{name: getattr(F, name) for name in ACTIVATIONS},
    **{name: getattr(torch, name) for name in OF_ALL},
    **{f"power {p:.2g}": lambda z, p=p: positive(z) ** p for p in POWERS},
    **{f"power {p} of both signs": lambda z, p=p: z**p for p in (2, 3, 4, -1, -2)},
    **{name: lambda z, name=name: getattr(torch, name)(positive(z)) for name in ("log", "log2", "log10", "log1p")},
    **{name: lambda z, name=name: getattr(torch, name)(positive(z)) for name in ("sqrt", "rsqrt")},
    **{name: lambda z, name=name: getattr(torch, name)(inside(z)) for name in ("asin", "acos", "atanh")},
    **{name: lambda z, name=name: torch.where(getattr(torch, name)(z), z, z * 2) for name in CONDITIONS},
    "acosh": lambda z: torch.acosh(positive(z) + 1),
    "gelu by tanh": lambda z: F.gelu(z, approximate="tanh"),
    "softplus steeper": lambda z: F.softplus(z, beta=2, threshold=5),
    "softplus everywhere": lambda z: F.softplus(z, beta=0.5, threshold=300),
    "elu 0.7": lambda z: F.elu(z, 0.7),
    "celu 0.7": lambda z: F.celu(z, 0.7),
    "threshold": lambda z: F.threshold(z, 0.1, -3.0),
    "log of sigmoid": lambda z: torch.log(torch.sigmoid(z)),
    "log1p of exp": lambda z: torch.clamp_min(z, 0) + torch.log1p(torch.exp(-z.abs())),
    "logit": lambda z: torch.logit(torch.sigmoid(z), eps=1e-6),
    "logit without ends": lambda z: torch.logit(torch.sigmoid(0.1 * z)),
    "number to a power": lambda z: 3.0**z,
    "2 to a power": lambda z: 2.0**z,
    "entropy": lambda z: torch.special.entr(positive(z)),
    "remainder": lambda z: z % 1.5,
    "clip": lambda z: z.clip(-0.5, 0.5),
    "clip above": lambda z: z.clamp(max=0.1),
    "clip below": lambda z: z.clamp(min=-0.1),
    "where with numbers": lambda z: z * torch.where(z > 0, 1.0, 0.5),
    "where with whole numbers": lambda z: z * torch.where(z > 0, 1, -3),
    "condition as whole number": lambda z: z * (z > 0).long(),
    "count": lambda z: z * (z > 0).sum(-1, keepdim=True),
    "constant tensor": lambda z: z * torch.tensor(0.3, dtype=z.dtype),
    "straight through": lambda z: z + (z.round() - z).detach(),
    "in place": lambda z: F.relu(z * 1, inplace=True) * 2,
    "layer_norm": lambda z: F.layer_norm(z, z.shape[-1:]),
    "rms_norm": lambda z: F.rms_norm(z, z.shape[-1:]),
    "normalize": lambda z: F.normalize(z, dim=-1),
    "norm of absolutes": lambda z: z / torch.linalg.vector_norm(z, ord=1, dim=-1, keepdim=True),
    "var": lambda z: z / (z.var(-1, correction=0, keepdim=True) + 1),
    "std": lambda z: z / (z.std(-1, correction=0, keepdim=True) + 1),
}
NAMED = ["logaddexp", "logaddexp2", "maximum", "minimum", "fmax", "fmin", "atan2", "hypot", "copysign", "fmod"]
TWO = {
    **{name: getattr(torch, name) for name in NAMED},
    "remainder of two": torch.remainder,
    "xlogy": lambda z, w: torch.xlogy(z, positive(w)),
    "xlog1py": lambda z, w: torch.special.xlog1py(z, positive(w)),
    "power of tensors": lambda z, w: positive(z) ** w,
    "lerp": lambda z, w: torch.lerp(z, w, 0.3),
    "lerp by a tensor": lambda z, w: torch.lerp(z, w, torch.sigmoid(z)),
    "addcmul": lambda z, w: torch.addcmul(z, z, w, value=0.5),
    "addcdiv": lambda z, w: torch.addcdiv(z, z, positive(w), value=0.5),
    "add alpha": lambda z, w: torch.add(z, w, alpha=0.3),
    "sub alpha": lambda z, w: torch.sub(z, w, alpha=0.3),
    "rsub alpha": lambda z, w: torch.rsub(z, w, alpha=0.3),
    "clip by tensors": lambda z, w: torch.clamp(z, w - 0.1, w + 0.3),
    "masked_fill": lambda z, w: z.masked_fill(w > 0, 0.3),
    "comparison times number": lambda z, w: (z > w) * z,
    "comparison as number": lambda z, w: (z > w).to(z.dtype) * z,
    "logical_xor": lambda z, w: torch.where(torch.logical_xor(z > 0, w > 0), z, w),
    "xor": lambda z, w: torch.where((z > 0) ^ (w > 0), z, w),
    "and not": lambda z, w: torch.where((z > 0) & ~(w > 0), z, w),
    "floor of a quotient": lambda z, w: torch.div(z, w, rounding_mode="floor") + z,
    "trunc of a quotient": lambda z, w: torch.div(z, w, rounding_mode="trunc") + z,
    "gates by logarithms": lambda z, w: torch.exp(F.logsigmoid(z) + F.logsigmoid(w)),
    "cross entropy": lambda z, w: F.binary_cross_entropy_with_logits(z, torch.sigmoid(w), reduction="none"),
}
REFUSED = {
    "aten._softmax": lambda z: torch.softmax(z, -1),
    "aten._log_softmax": lambda z: torch.log_softmax(z, -1),
    "aten.amax": lambda z: torch.logsumexp(z, -1, keepdim=True) + z,
    "aten.max": lambda z: z - z.max(-1, keepdim=True).values,
    "aten.prod": lambda z: z - z.prod(-1, keepdim=True),
    "aten.cumsum": lambda z: z.cumsum(-1),
    "aten.flip": lambda z: z.flip(-1),
    "aten.cat": lambda z: F.glu(torch.cat([z, z], -1), -1),
    "aten.lgamma": lambda z: torch.lgamma(positive(z)),
    "aten.erfinv": lambda z: torch.erfinv(inside(z)),
    "aten.round with decimals": lambda z: torch.round(z, decimals=2),
    "aten._to_copy returns numbers of type torch.float16": lambda z: z.half().to(z.dtype),
    "aten::heaviside": lambda z: torch.heaviside(z, z),
    "aten::floor_divide": lambda z: z // 0.3,
}


class OneNumber(Cell):
    gates = ("a",)

    def __init__(self, function):
        self.function = function

    def step(self, x, u, s, p):
        return State(h=self.function(x.a) + 0 * u.a), Gates()


class TwoNumbers(OneNumber):
    def step(self, x, u, s, p):
        return State(h=self.function(x.a, s.h) + 0 * u.a), Gates()


def request(cell, x, h):
    one = torch.eye(H, dtype=x.dtype)
    return Request(cell, x.view(1, -1, H), State(h=h.view(-1, H)), Weights(one, 0 * one, None, None, None, ()))


def numbers(dtype):
    """Small and large ones, whole ones, halves, 0: where functions bend."""
    g = torch.Generator().manual_seed(0)
    ends = [0.0, 0.5, -0.5, 1.0, -1.0, 3.0, -3.0, 6.5, -6.5, 2.5, -17.5, 25.0, -30.0, 60.0, -60.0, -1e-3, 1e-3, 1e-7]
    return torch.cat([torch.tensor(ends), torch.randn(38, generator=g)]).to(dtype)


def value_and_gradients(cell, x, h, engine):
    x, h = x.clone().requires_grad_(), h.clone().requires_grad_()
    y = run(request(cell, x, h), engine).y.view(-1)
    mix = torch.linspace(0.5, 1.5, y.numel(), dtype=y.dtype)
    return [y, *torch.autograd.grad(y, (x, h), mix, allow_unused=True, materialize_grads=True)]


@pytest.mark.parametrize("name", [*ONE, *TWO])
def test_an_operator_and_its_derivative_are_those_of_the_reference(name):
    cell = OneNumber(ONE[name]) if name in ONE else TwoNumbers(TWO[name])
    x = numbers(torch.float64)
    h = x.roll(19)
    for got, want in zip(*(value_and_gradients(cell, x, h, engine) for engine in ("cpu", "unroll")), strict=True):
        # PyTorch's own hardsigmoid multiplies by a sixth in float32, in float64 too.
        rtol = 1e-7 if name == "hardsigmoid" else 1e-12
        torch.testing.assert_close(got, want, rtol=rtol, atol=1e-14, equal_nan=True)


STABLE = ["logsigmoid", "softplus", "softplus everywhere", "silu", "elu", "selu", "celu", "log1p of exp", "sigmoid"]
STABLE += ["expm1", "exp", "mish", "square", "tanh"]


@pytest.mark.parametrize("name", STABLE)
def test_stable_forms_keep_every_number_in_float32(name):
    x = torch.cat([torch.linspace(-86, 30, 100), torch.logspace(-6, 0, 28), -torch.logspace(-6, 0, 24)])
    cell = OneNumber(ONE[name])
    got = value_and_gradients(cell, x, x, "cpu")[:2]
    want = value_and_gradients(cell, x.double(), x.double(), "unroll")[:2]
    torch.testing.assert_close(got[0].double(), want[0], rtol=2e-6, atol=1e-37)
    # A derivative such as 1 - σ or 1 - tanh² has the rounding of σ near 1, in PyTorch's own float32 too.
    torch.testing.assert_close(got[1].double(), want[1], rtol=4e-6, atol=3e-7)
    if name == "expm1":
        return  # its derivative is expm1 + 1 in PyTorch too
    below = x < 0 if name not in ("tanh", "square") else x.abs() < 1
    torch.testing.assert_close(got[1].double()[below], want[1][below], rtol=1e-5, atol=1e-37)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_refused_by_name_and_runs_on_the_reference(name):
    x = numbers(torch.float64)
    asked = request(OneNumber(REFUSED[name]), x, x)
    with pytest.raises(InputError, match="cannot run this") as error:
        run(asked, "cpu")
    assert name in str(error.value)
    assert choose(asked).engine == "unroll"
    assert run(asked).y.shape == (1, x.numel() // H, H)
    assert math.isfinite(run(asked).y[0, 0, 0].item())
