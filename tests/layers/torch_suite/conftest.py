"""Counts what this folder collects, before -k or -m deselect any of it."""

from collections import Counter

import pytest

COLLECTED = pytest.StashKey[Counter[str]]()


def pytest_itemcollected(item):
    item.config.stash.setdefault(COLLECTED, Counter())[item.path.name] += 1
    # torch says so once a process, of its own layer as of ours.
    item.add_marker(pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"))


@pytest.fixture
def collected(request):
    """The number of cases of each file of this folder."""
    return request.config.stash[COLLECTED]
