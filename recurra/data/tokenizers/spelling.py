"""The cost of spelling words outside the vocabulary, so that a smaller vocabulary does not improve the perplexity."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from math import log

# Number of characters that the next one depends on: 2 for a trigram model.
_CONTEXT = 2
# Maximal number of words that are counted, evenly spaced in the vocabulary: more hardly change a trigram model.
_MOST_TYPES = 1 << 16
# Words have no whitespace, so that a space can mark the start of a word.
_START = " " * _CONTEXT
_END = ""
_NATS_PER_BYTE = log(256)
# The followers of a context that occurs in no word.
_UNSEEN = (Counter[str](), 0)


def byte_nats(text: str) -> float:
    """Returns the nats of a text with a uniform distribution over bytes: 8 bits per byte of its UTF-8 form."""
    return len(text.encode("utf-8", "surrogatepass")) * _NATS_PER_BYTE


class Spelling:
    """A distribution over strings: a character trigram model of the words of a vocabulary, each counted once.

    Interpolated as in Witten and Bell (1991): for a context h with count n(h) and t(h) different following characters,

        p(c | h) = (n(h, c) + t(h) p(c | h')) / (n(h) + t(h)), h' is h without its first character,

    and for the empty context p(c) = 256^-b for a character of b bytes in UTF-8, and 1/256 for the end of the word.
    Every string has a probability, and the probabilities of all strings sum to at most 1. The distribution depends only
    on the vocabulary, so that models with the same vocabulary have the same cost for an unknown word.

    Args:
        words: the known words.
    """

    def __init__(self, words: Sequence[str]) -> None:
        followers: dict[str, Counter[str]] = defaultdict(Counter)
        for word in words[:: max(1, -(-len(words) // _MOST_TYPES))]:
            padded = _START + word
            for place, character in enumerate([*word, _END]):
                for length in range(_CONTEXT + 1):
                    followers[padded[place + _CONTEXT - length : place + _CONTEXT]][character] += 1
        self._followers = {context: (counts, counts.total()) for context, counts in followers.items()}

    def nats(self, word: str) -> float:
        """-log p of a word and its end."""
        padded = _START + word
        characters = enumerate([*word, _END])
        return -sum(
            log(self._probability(padded[place : place + _CONTEXT], character)) for place, character in characters
        )

    def _probability(self, context: str, character: str) -> float:
        """P of a character after a context of `_CONTEXT` characters."""
        probability = 256.0 ** -max(1, len(character.encode("utf-8", "surrogatepass")))
        for length in range(_CONTEXT + 1):
            counts, total = self._followers.get(context[_CONTEXT - length :], _UNSEEN)
            if total:
                probability = (counts[character] + len(counts) * probability) / (total + len(counts))
        return probability
