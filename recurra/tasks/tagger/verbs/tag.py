"""`recurra tag DIR [FILE]`: labels for the words of new text."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Annotated, BinaryIO

from cyclopts import Parameter

from recurra.cli.opening import open_model
from recurra.cli.output import is_interactive, put
from recurra.cli.streams import opened
from recurra.tasks.tagger.model import Tagger
from recurra.tasks.tagger.tagging_formats import SentenceReader, input_format, read_words, writer


def tag(
    model: Annotated[Path, Parameter(name="DIR")],
    file: Annotated[Path | None, Parameter(name="FILE")] = None,
    /,
    *,
    came_as: Annotated[str | None, Parameter(name="--from")] = None,
    to: str | None = None,
    tokenize: Annotated[bool, Parameter(negative=())] = False,
    probabilities: Annotated[bool, Parameter(negative=())] = False,
    word_by_word: Annotated[bool, Parameter(negative=())] = False,
    cell: str | None = None,
) -> None:
    """Label the words of a file, or of stdin, with a tagger; the result goes to stdout.

    Files of any size: a few thousand words are held at once. CoNLL-U comes out byte for byte as it went in, but for
    the labels. A file is read once before anything is written of it, to find its faults; a pipe cannot be.

    ```sh
    recurra tag tagger new.conllu > tagged.conllu
    echo "The fox jumps ." | recurra tag tagger
    recurra tag tagger letters.txt --tokenize --to json --probabilities
    ```

    Parameters
    ----------
    model
        The folder of a trained tagger.
    file
        What to tag; stdin where it is left out.
    came_as
        conllu, columns, or text: a sentence a line, words apart by spaces. Default: conllu for *.conllu, columns for
        *.conll, *.tsv, *.bio and *.iob; other files as the tagger's training files if those were columns, else text;
        stdin as text, or as columns where the tagger reads features.
    to
        conllu, columns, json (an object a line), or terminal: coloured text. Default: as it came; for text, terminal
        if the result goes to one, else columns.
    tokenize
        Set punctuation and English clitics apart in text; a line stays a sentence.
    probabilities
        Also the probability of each label: in MISC of CoNLL-U, a further column, a list in JSON.
    word_by_word
        Read a word a line, and its features after it, and answer each at once, an empty line after a sentence; for a
        tagger that was trained with --no-bidirectional, without --language-model, and chooses labels one by one.
    cell
        module:Class, for a model that was trained with a cell of your own.
    """
    tagger = open_model(model, cell, needs=Tagger, does="tag")
    # What is loaded stays: looking through all of it for garbage, again and again, took a tenth of the time.
    gc.freeze()
    chosen = "columns" if word_by_word else came_as or input_format(file, tagger.layout)
    with opened(file) as (source, name):
        if word_by_word:
            _tag_word_by_word(tagger, source, name)
            return
        reader = SentenceReader(tagger.layout, chosen, tokenize)
        target = to or (chosen if chosen != "text" else "terminal" if sys.stdout.isatty() else "columns")
        write = writer(target, chosen, tagger.layout, scheme=tagger.scheme)
        # Somebody who types wants an answer a line, not one a window.
        window = {"window": 0} if file is None and is_interactive() else {}
        for tagged in tagger.annotate(reader.checked_sentences(source, name), probabilities=probabilities, **window):
            put(write(tagged), as_json=target == "json")


def _tag_word_by_word(tagger: Tagger, source: BinaryIO, name: str) -> None:
    stream = tagger.stream()
    for word in read_words(source, name, tagger.layout):
        if word is not None:
            labels = stream.push(word)
            put("\t".join([word if isinstance(word, str) else word[0], *labels.values()]) + "\n")
        else:
            stream.end()
            put("\n")
        sys.stdout.flush()
