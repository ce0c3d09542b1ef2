"""The network over features that arrive in parts: step by step, or in pieces for networks that need later frames."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recurra.data.audio.feature_statistics import FeatureStatistics
from recurra.data.audio.normalisation import Normaliser
from recurra.data.batching import pad
from recurra.tasks.transcriber.features import FeatureSettings
from recurra.tasks.transcriber.network import TranscriberNetwork

Frames = npt.NDArray[np.float32]
LogProbs = npt.NDArray[np.float32]

# A recording is cut into pieces of at most this length, at the quietest frame of the second half of each.
_PIECE_SECONDS = 20.0


class NetworkStream(Protocol):
    """Converts frames that arrive in parts to log-probabilities."""

    def accept(self, features: Frames) -> LogProbs:
        """Returns the log-probabilities (t, V) of the steps that the next frames (n, width) complete."""
        ...

    def finish(self) -> LogProbs:
        """Returns the log-probabilities of the last steps."""
        ...


def network_stream(
    network: TranscriberNetwork, settings: FeatureSettings, statistics: FeatureStatistics, *, bidirectional: bool
) -> NetworkStream:
    """Returns the stream of a network: by steps if it has one direction and needs no later frames, else by pieces.

    Args:
        network: the network.
        settings: the features.
        statistics: of the training data.
        bidirectional: whether the network reads recordings in both directions.
    """
    network.eval()
    if bidirectional or not settings.streams or settings.deltas:
        return PieceNetwork(network, settings, statistics)
    return StepNetwork(network, settings, statistics)


class StepNetwork:
    """A network in one direction, whose state is carried from part to part.

    Args:
        network: in evaluation mode.
        settings: the features.
        statistics: of the training data.
    """

    def __init__(self, network: TranscriberNetwork, settings: FeatureSettings, statistics: FeatureStatistics) -> None:
        self._network = network
        self._normaliser, self._silence = settings.normaliser(statistics).stream(), settings.silence()
        self._front = [layer.stream() for layer in network.front]  # type: ignore[operator]
        self._layers = [layer.stream(1) for layer in network.layers]  # type: ignore[operator]
        self._lookahead = None if network.lookahead is None else network.lookahead.stream()

    @torch.inference_mode()
    def accept(self, features: Frames) -> LogProbs:
        """Returns the log-probabilities of the steps that the next frames complete."""
        return self._read(self._normaliser.accept(features))

    def _read(self, frames: Frames) -> LogProbs:
        x = torch.from_numpy(frames).unsqueeze(1)  # (n, 1, F)
        for stream in self._front:
            x = torch.relu(stream.accept(x))
        h = self._recurrent(x)
        return self._log_probs(h if self._lookahead is None else self._lookahead.accept(h))

    @torch.inference_mode()
    def finish(self) -> LogProbs:
        """Returns the log-probabilities of the steps that read frames past the end."""
        last = self._read(self._silence)
        first, second = self._front
        x = torch.cat([second.accept(torch.relu(first.finish())), second.finish()])
        h = self._recurrent(torch.relu(x))
        if self._lookahead is not None:
            h = torch.cat([self._lookahead.accept(h), self._lookahead.finish()])
        return np.concatenate([last, self._log_probs(h)])

    def _recurrent(self, x: Tensor) -> Tensor:
        """Returns the output (t, 1, H) of the recurrent layers."""
        h = self._network.front_norm(x)
        for stream, (layer, norm, residual) in zip(self._layers, self._network.blocks(), strict=True):
            if len(h):
                y = stream.run(h)
            else:
                y = h.new_zeros(0, 1, layer.output_size)
            h = norm(y + h if residual else y)
        return torch.as_tensor(h)

    def _log_probs(self, h: Tensor) -> LogProbs:
        log_probs: LogProbs = self._network.readout(h)[:, 0].log_softmax(-1).numpy()
        return log_probs


class PieceNetwork:
    """A network that needs later frames: a recording is cut at quiet places, and each piece is read as a whole.

    Args:
        network: in evaluation mode.
        settings: the features.
        statistics: of the training data.
    """

    def __init__(self, network: TranscriberNetwork, settings: FeatureSettings, statistics: FeatureStatistics) -> None:
        self._network, self._settings, self._statistics = network, settings, statistics
        self._normaliser = settings.normaliser(statistics).stream() if settings.streams else None
        # Pieces are whole steps long, so that times can be counted in steps.
        self._unit = _frames_per_step(network)
        self._longest = max(2, round(_PIECE_SECONDS / settings.frame_seconds / self._unit)) * self._unit
        self._held = np.zeros((0, settings.width), np.float32)

    def accept(self, features: Frames) -> LogProbs:
        """Returns the log-probabilities of the pieces that are complete."""
        self._held = np.concatenate([self._held, features])
        results = []
        while len(self._held) >= self._longest:
            cut = self._quietest(self._held[: self._longest])
            results.append(self._run(self._held[:cut], ends=False))
            self._held = self._held[cut:]
        return np.concatenate(results) if results else self._none()

    def finish(self) -> LogProbs:
        """Returns the log-probabilities of the last piece."""
        last, self._held = self._held, self._held[:0]
        return self._run(last, ends=True) if len(last) else self._none()

    def _quietest(self, frames: Frames) -> int:
        """Returns the number of frames, of whole steps, after which the mean over a fifth of a second is lowest."""
        level = frames[:, :1] if self._settings.rate is None else frames
        width = max(1, round(0.2 / self._settings.frame_seconds))
        smooth = np.convolve(level.mean(1), np.ones(width) / width, mode="same")
        half = len(frames) // 2
        return max(1, (half + int(smooth[half:-width].argmin())) // self._unit) * self._unit

    @torch.inference_mode()
    def _run(self, frames: Frames, *, ends: bool) -> LogProbs:
        settings = self._settings
        normaliser = self._normaliser or settings.normaliser(self._statistics)
        normalised = normaliser(frames) if isinstance(normaliser, Normaliser) else normaliser.accept(frames)
        x = settings.with_deltas(normalised)
        if ends:
            x = np.concatenate([x, settings.silence()])
        scores, _ = self._network(torch.from_numpy(x).unsqueeze(1), torch.tensor([len(x)]))  # (T', 1, V)
        log_probs: LogProbs = scores[:, 0].log_softmax(-1).numpy()
        return log_probs

    def _none(self) -> LogProbs:
        return np.zeros((0, self._network.readout.weight.shape[0]), np.float32)


def _frames_per_step(network: TranscriberNetwork) -> int:
    result = 1
    for layer in network.front:
        result *= int(layer.stride)  # type: ignore[arg-type]
    return result


def log_probs_of(network: TranscriberNetwork, rows: list[Any]) -> list[LogProbs]:
    """Returns the log-probabilities (T'_i, V) of whole recordings, which are read as one batch.

    Args:
        network: is set to evaluation mode.
        rows: what the network reads of each, (T_i, size).
    """
    network.eval()
    with torch.inference_mode():
        features, lengths = pad(rows), torch.tensor([len(row) for row in rows])
        scores, steps = network(features.to(network.device), lengths.to(network.device))
        log_probs = scores.float().log_softmax(-1).cpu().numpy()  # (T', B, V)
    return [log_probs[:count, place] for place, count in enumerate(steps.tolist())]
