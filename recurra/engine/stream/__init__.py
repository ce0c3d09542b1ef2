"""Layers prepared to run one step at a time, with constant memory."""

from recurra.engine.stream.source import LayerSource
from recurra.engine.stream.stream import Stream, StreamPlan

__all__ = ["LayerSource", "Stream", "StreamPlan"]
