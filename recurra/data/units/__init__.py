"""What a text is cut into: characters, bytes, words or subwords."""

from recurra.data.units.bpe import BpeUnit
from recurra.data.units.byte import ByteUnit
from recurra.data.units.char import CharUnit
from recurra.data.units.table import UNITS, build_unit, check_unit, load_unit
from recurra.data.units.unit import Decoder, Ids, Unit, fingerprint
from recurra.data.units.word import WordUnit

__all__ = [
    "UNITS",
    "BpeUnit",
    "ByteUnit",
    "CharUnit",
    "Decoder",
    "Ids",
    "Unit",
    "WordUnit",
    "build_unit",
    "check_unit",
    "fingerprint",
    "load_unit",
]
