import ast
import dataclasses
import inspect

import pytest

from recurra.errors import InputError
from recurra.training import OPTIMIZERS, SCHEDULES, TrainingOptions, options


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"optimizer": "adagrab"}, r"optimizer: 'adagrab' is not known. Did you mean 'adagrad'"),
        ({"schedule": "cosin"}, r"schedule: 'cosin' is not known. Did you mean 'cosine'"),
        ({"clip_by": "nrom"}, r"clip_by: 'nrom' is not known. Did you mean 'norm'"),
        ({"precision": "float16"}, r"precision: 'float16' is not known"),
        ({"learning_rate": 0.0}, r"learning_rate=0.0: expected a number above 0"),
        ({"learning_rate": float("nan")}, r"learning_rate=nan: expected a number above 0"),
        ({"learning_rate": "1e-3"}, r"learning_rate='1e-3': expected a number above 0"),
        ({"weight_decay": -0.1}, r"weight_decay=-0.1: expected a number of 0 or more"),
        ({"momentum": 1.0}, r"momentum=1.0: expected a number from 0 up to, not including, 1"),
        ({"beta2": -0.5}, r"beta2=-0.5: expected"),
        ({"final_learning_rate": 2.0}, r"final_learning_rate=2.0: expected a number from 0 to 1"),
        ({"decay": 1.0}, r"decay=1.0: expected a number between 0 and 1"),
        ({"clip": 0.0}, r"clip=0.0: expected a number above 0"),
        ({"steps": 0}, r"steps=0: expected a whole number of 1 or more"),
        ({"steps": 2.5}, r"steps=2.5: expected a whole number"),
        ({"epochs": -1.0}, r"epochs=-1.0: expected a number above 0"),
        ({"max_minutes": float("inf")}, r"max_minutes=inf: expected a number above 0"),
        ({"patience": 0}, r"patience=0: expected a whole number of 1 or more"),
        ({"plateau_patience": 0}, r"plateau_patience=0"),
        ({"valid_every": 0}, r"valid_every=0"),
        ({"log_every": 0}, r"log_every=0"),
        ({"decay_every": 0}, r"decay_every=0"),
        ({"warmup_ratio": 1.0}, r"warmup_ratio=1.0: expected a number from 0 to below 1"),
        ({"warmup_steps": -1}, r"warmup_steps=-1: expected a whole number of 0 or more"),
        ({"seed": -1}, r"seed=-1"),
        ({"checkpoint_every": 0.0}, r"checkpoint_every=0.0"),
        ({"log_every_seconds": -1.0}, r"log_every_seconds=-1.0"),
        ({"steps": 5, "epochs": 1.0}, r"steps=5 and epochs=1.0: a run has one length"),
        ({"steps": 5, "least_steps": 9}, r"least_steps=9 requires epochs"),
        ({"epochs": 5.0, "least_steps": 0}, r"least_steps=0: expected a whole number of 1 or more"),
        ({"steps": 5, "warmup_steps": 5}, r"warmup_steps=5 but steps=5"),
    ],
)
def test_a_value_that_cannot_be_used_gets_one_line(given, message):
    with pytest.raises(InputError, match=message) as caught:
        TrainingOptions(**given)
    assert "\n" not in str(caught.value)


def test_none_switches_off():
    chosen = TrainingOptions(clip=None, patience=None, momentum=None)
    assert chosen.clip is None


def test_every_field_has_a_line_of_help_and_names_its_choices():
    (tree,) = ast.parse(inspect.getsource(TrainingOptions)).body
    helped = {
        field.target.id: text.value.value
        for field, text in zip(tree.body, tree.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr)
    }
    assert helped.keys() == {field.name for field in dataclasses.fields(TrainingOptions)}
    assert all(name in helped["optimizer"] for name in OPTIMIZERS)
    assert all(name in helped["schedule"] for name in SCHEDULES)
    assert all(name in helped["precision"] for name in options.PRECISIONS)
