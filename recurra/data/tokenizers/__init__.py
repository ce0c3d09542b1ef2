"""Tokenizers: text to ids as characters, bytes, words or subwords."""

from recurra.data.tokenizers.bpe import BpeTokenizer
from recurra.data.tokenizers.byte import ByteTokenizer
from recurra.data.tokenizers.char import CharTokenizer
from recurra.data.tokenizers.table import TOKENIZERS, build_tokenizer, check_tokenizer, load_tokenizer
from recurra.data.tokenizers.tokenizer import Decoder, Ids, Tokenizer, fingerprint
from recurra.data.tokenizers.word import WordTokenizer

__all__ = [
    "TOKENIZERS",
    "BpeTokenizer",
    "ByteTokenizer",
    "CharTokenizer",
    "Decoder",
    "Ids",
    "Tokenizer",
    "WordTokenizer",
    "build_tokenizer",
    "check_tokenizer",
    "fingerprint",
    "load_tokenizer",
]
