"""Activations of the hidden units of a language model: a text coloured by unit, and units that track text features."""

from recurra.diagnosis.units.report import Units, analyse_units
from recurra.diagnosis.units.tracking import Tracker

__all__ = ["Tracker", "Units", "analyse_units"]
