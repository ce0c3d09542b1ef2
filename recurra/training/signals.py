"""What training takes from `recurra.stopping`, which the command line uses before PyTorch is loaded."""

from recurra.stopping import GivenUp, Interrupted, InterruptedAtOnce, Interruption

__all__ = ["GivenUp", "Interrupted", "InterruptedAtOnce", "Interruption"]
