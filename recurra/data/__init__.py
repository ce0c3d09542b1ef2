"""Files to batches: file formats, tokenizers, memory-mapped corpora, parallel streams."""

from recurra.data.corpus import Corpus, encode
from recurra.data.evaluation import contiguous
from recurra.data.header import Header, SourceSpan
from recurra.data.pair_files import open_pairs
from recurra.data.pairs import Pair, Pairs, PairText, is_empty
from recurra.data.sources import python_sources
from recurra.data.splitting import split
from recurra.data.streams import Streams, Window
from recurra.data.text import Source, Text, open_text
from recurra.data.tokenizers import (
    TOKENIZERS,
    BpeTokenizer,
    ByteTokenizer,
    CharTokenizer,
    Decoder,
    Tokenizer,
    WordTokenizer,
    build_tokenizer,
    check_tokenizer,
    fingerprint,
    load_tokenizer,
)

__all__ = [
    "TOKENIZERS",
    "BpeTokenizer",
    "ByteTokenizer",
    "CharTokenizer",
    "Corpus",
    "Decoder",
    "Header",
    "Pair",
    "PairText",
    "Pairs",
    "Source",
    "SourceSpan",
    "Streams",
    "Text",
    "Tokenizer",
    "Window",
    "WordTokenizer",
    "build_tokenizer",
    "check_tokenizer",
    "contiguous",
    "encode",
    "fingerprint",
    "is_empty",
    "load_tokenizer",
    "open_pairs",
    "open_text",
    "python_sources",
    "split",
]
