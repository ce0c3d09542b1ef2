"""`recurra tag DIR [FILE]`: labels the words of new text."""

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
    """Label the words of a file, or of stdin, with a tagger; the result is written to stdout.

    Files may have any size: a few thousand words are held in memory at once. CoNLL-U is written byte for byte as it was
    read, except for the labels. A file is checked before anything is written; a pipe cannot be checked beforehand.

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
        The file to tag. Default: stdin.
    came_as
        Format of the input: conllu, columns, or text, one sentence per line with words separated by spaces. Default:
        conllu for *.conllu, columns for *.conll, *.tsv, *.bio and *.iob; columns for other files if the training files
        were columns, else text; text for stdin, or columns if the tagger reads features.
    to
        Format of the output: conllu, columns, json (one object per line), or terminal (coloured text). Default: that of
        the input; for text, terminal if stdout is one, else columns.
    tokenize
        Separate punctuation and English clitics from words in text; each line is still one sentence.
    probabilities
        Also write the probability of each label: in MISC of CoNLL-U, an additional column, or a list in JSON.
    word_by_word
        Read one word per line, followed by its features, and write its labels at once; an empty line ends a sentence.
        Needs a tagger trained with --no-bidirectional, without --language-model, and with a softmax.
    cell
        module:Class, if the model was trained with a user-defined cell.
    """
    tagger = open_model(model, cell, needs=Tagger, does="tag")
    # The loaded objects stay: collecting garbage among them again and again took a tenth of the time.
    gc.freeze()
    with opened(file) as (source, name):
        if word_by_word:
            _tag_word_by_word(tagger, source, name)
            return
        source_format = came_as or input_format(file, tagger.layout)
        reader = SentenceReader(tagger.layout, source_format, tokenize)
        of_text = "terminal" if sys.stdout.isatty() else "columns"
        target = to or (of_text if source_format == "text" else source_format)
        write = writer(target, source_format, tagger.layout, scheme=tagger.scheme)
        # In a terminal each line is answered at once.
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
