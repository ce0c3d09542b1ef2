"""The spellings of words, computed once for many batches: a third of the time of tagging goes into them otherwise."""

from __future__ import annotations

from itertools import count

import numpy as np
import torch
from torch import Tensor

from recurra.tasks.tagger.batch import Forms
from recurra.tasks.tagger.network import TaggerNetwork

# Words spelt together, and words remembered.
_TOGETHER, _REMEMBERED = 1024, 50_000


def spellings(network: TaggerNetwork, forms: Forms) -> Tensor | None:
    """What the character layer ends with for each of some forms, (n, 2·S); None where the network has no such layer."""
    if network.characters is None:
        return None
    order = np.argsort(forms.lengths, kind="stable")
    spelt = []
    for start in range(0, len(order), _TOGETHER):
        characters, lengths = forms.spell(order[start : start + _TOGETHER])
        spelt.append(network.spell(characters.to(network.device), lengths.to(network.device)))
    table = torch.cat(spelt)
    return torch.empty_like(table).index_copy_(0, torch.from_numpy(order).to(table.device), table)


class Speller:
    """The spellings of the words of a stream of text, each computed when it is first met.

    Args:
        network: whose weights do not change meanwhile.
    """

    def __init__(self, network: TaggerNetwork) -> None:
        self._network = network
        self._rows: dict[str, int] = {}
        self._table: Tensor | None = None

    def __call__(self, words: list[str], forms: Forms) -> Tensor | None:
        """The spellings of distinct words, (n, 2·S); None where the network reads no characters."""
        if self._network.characters is None or not words:
            return None
        if len(self._rows) > _REMEMBERED:
            self._rows, self._table = {}, None
        new = [place for place, word in enumerate(words) if word not in self._rows]
        if new:
            table = spellings(self._network, forms.part(np.array(new)))
            assert table is not None
            self._rows.update(zip([words[place] for place in new], count(len(self._rows)), strict=False))
            self._table = table if self._table is None else torch.cat([self._table, table])
        assert self._table is not None
        return self._table[torch.tensor([self._rows[word] for word in words], device=self._table.device)]
