"""What it costs to spell a word that a vocabulary lacks, so that a model cannot gain by knowing fewer words."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from math import log

# Characters that the next one depends on: with 2 the model is of third order (trigrams).
_CONTEXT = 2
# Types that are counted at most, evenly spread over the vocabulary: more hardly change a trigram.
_MOST_TYPES = 1 << 16
# Words have no whitespace, so a space can stand before the first letter.
_START = " " * _CONTEXT
_END = ""
_NATS_PER_BYTE = log(256)


def byte_nats(text: str) -> float:
    """The nats of a text written byte by byte without any model: 8 bits per byte of its UTF-8 form."""
    return len(text.encode("utf-8", "surrogatepass")) * _NATS_PER_BYTE


class Spelling:
    """A distribution over strings: a trigram of characters of the words of a vocabulary, each counted once.

    Interpolated as by Witten and Bell (1991): with n(h) counts of a context h of which t(h) characters follow,

        p(c | h) = (n(h, c) + t(h) p(c | h')) / (n(h) + t(h)), h' without its first character,

    and at last p(c) = 256^-b for a character of b bytes in UTF-8, and 1/256 for the end of the word. So every string
    has a probability, and those of all strings sum to 1 at most. It needs nothing but the vocabulary: two models with
    the same vocabulary pay the same for a word that both lack.

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
            counts, total = self._followers.get(context[_CONTEXT - length :], (Counter[str](), 0))
            if total:
                probability = (counts[character] + len(counts) * probability) / (total + len(counts))
        return probability
