"""A text of a small grammar, made here, and sizes of a network that learns it in a second."""

import random

TINY = {"hidden_size": 24, "embedding_size": 8, "batch_size": 4, "update_every": 16, "dropout": 0.1}


def sentences(count: int, seed: int = 0) -> str:
    """Lines of a small grammar: enough order to learn, enough chance not to end at a loss of zero."""
    g = random.Random(seed)
    who, what = ("the cat", "a dog", "my fox"), ("sees", "hears", "likes")
    return "".join(f"{g.choice(who)} {g.choice(what)} {g.choice(who)}.\n" for _ in range(count))
