"""What the units of a language model do: the text coloured by any of them, and which track what a person can name."""

from recurra.diagnosis.units.report import Units, examine_units
from recurra.diagnosis.units.tracking import Tracker

__all__ = ["Tracker", "Units", "examine_units"]
