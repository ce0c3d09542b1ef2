"""Re-exports `recurra.stopping`, which is apart because the command line needs it before PyTorch is loaded."""

from recurra.stopping import GivenUp, Interrupted, InterruptedAtOnce, Interruption

__all__ = ["GivenUp", "Interrupted", "InterruptedAtOnce", "Interruption"]
