"""Words and their letters backwards, and sizes of a translator that learns that in seconds."""

import random

TINY = {
    "source_unit": "char",
    "target_unit": "char",
    "hidden_size": 32,
    "embedding_size": 12,
    "input_feeding": False,
    "dropout": 0.0,
    "label_smoothing": 0.0,
    "batch_tokens": 500,
    "learning_rate": 0.02,
    "log_every": 1000,
    "engine": "unroll",
}


def words(count, seed=0):
    g = random.Random(seed)
    return ["".join(g.choice("abcd") for _ in range(g.randint(1, 5))) for _ in range(count)]


def pairs(count, seed=0):
    """A table."""
    return "".join(f"{word}\t{word[::-1]}\n" for word in words(count, seed))
