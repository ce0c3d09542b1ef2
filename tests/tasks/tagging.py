"""Tagged sentences of a small grammar, as files, and sizes of a tagger that learns them in seconds."""

import random

TINY = {
    "hidden_size": 16,
    "word_size": 12,
    "character_size": 6,
    "spelling_size": 8,
    "affix_size": 4,
    "feature_size": 4,
    "dropout": 0.1,
    "batch_tokens": 60,
    "learning_rate": 0.02,
    "log_every": 1000,
    "engine": "unroll",
}
NOUNS, VERBS, PLACES = ("cat", "dog", "fox"), ("see", "hear", "like"), ("Rome", "New York", "St Ives")


def drawn(count, seed=0):
    """Sentences as lists of (word, upos, xpos, chunk): "saw" of a man is a noun, of a cat a verb, by what is before."""
    g = random.Random(seed)
    for _ in range(count):
        words = [("the", "DET", "DT", "O"), (g.choice(NOUNS), "NOUN", "NN", "O")]
        verb = g.choice(VERBS)
        words.append((verb + "s", "VERB", "VBZ", "O"))
        if g.random() < 0.5:
            words += [("a", "DET", "DT", "O"), (verb + "s", "NOUN", "NNS", "O")]
        first, *rest = g.choice(PLACES).split()
        words.append((first, "PROPN", "NNP", "B-LOC"))
        words += [(word, "PROPN", "NNP", "I-LOC") for word in rest]
        yield [*words, (".", "PUNCT", ".", "O")]


def conllu(count, seed=0):
    blocks = []
    for number, words in enumerate(drawn(count, seed)):
        lines = [f"# sent_id = {number}"]
        lines += [f"{n}\t{w}\t_\t{u}\t{x}\t_\t_\t_\t_\t_" for n, (w, u, x, _) in enumerate(words, start=1)]
        blocks.append("\n".join(lines) + "\n\n")
    return "".join(blocks)


def columns(count, seed=0, *, features=False):
    blocks = []
    for words in drawn(count, seed):
        lines = [f"{word} {xpos} {chunk}" if features else f"{word}\t{chunk}" for word, _, xpos, chunk in words]
        blocks.append("\n".join(lines) + "\n\n")
    return "".join(blocks)
