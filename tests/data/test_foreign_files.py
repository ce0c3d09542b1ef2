"""Files that are no text are named for what they are, with what to do, whatever reads them."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import numpy as np
import pytest

from recurra.data import open_pairs, open_text
from recurra.data.formats import foreign_format
from recurra.data.lines import open_bytes, read_lines
from recurra.data.vectors import read_vectors
from recurra.errors import InputError

TEXT = "A line of text.\nAnother, with ü and 漢字.\n" * 40


def zipped(name, content=b"content"):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def tarred():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("a.txt")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"abc"))
    return buffer.getvalue()


def npy():
    buffer = io.BytesIO()
    np.save(buffer, np.arange(3))
    return buffer.getvalue()


FOREIGN = {
    "gzip": (gzip.compress(TEXT.encode()), "gunzip -k"),
    "bzip2": (bz2.compress(TEXT.encode()), "bunzip2 -k"),
    "xz": (lzma.compress(TEXT.encode()), "unxz -k"),
    "zstd": (b"\x28\xb5\x2f\xfd\x04\x58\x01\x02", "unzstd"),
    "zip archive": (zipped("a.txt"), "unzip"),
    "Word document": (zipped("word/document.xml"), "pandoc"),
    "Excel": (zipped("xl/workbook.xml"), "apart by tabs"),
    "EPUB": (zipped("mimetype", b"application/epub+zip"), "pandoc"),
    "OpenDocument": (zipped("mimetype", b"application/vnd.oasis.opendocument.text"), "plain text"),
    "tar archive": (tarred(), "tar -xf"),
    "Parquet": (b"PAR1\x15\x04\x15\x10\x15\x14L\x15\x02", "read_parquet"),
    "PDF": (b"%PDF-1.7\n1 0 obj\n", "pdftotext"),
    "rich text": (b"{\\rtf1\\ansi hello}\n", "plain text"),
    "PNG": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "character recognition"),
    "JPEG": (b"\xff\xd8\xff\xe0\x00\x10JFIF", "character recognition"),
    "NumPy": (npy(), "first"),
    "SQLite": (b"SQLite format 3\x00\x10\x00", "sqlite3"),
    "old Office": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(20), "plain text"),
    "UTF-16": (TEXT.encode("utf-16"), "iconv -f UTF-16 -t UTF-8"),
    "UTF-16LE": (b"plain text in two bytes each".decode().encode("utf-16-le"), "iconv -f UTF-16LE"),
    "UTF-16BE": (b"plain text in two bytes each".decode().encode("utf-16-be"), "iconv -f UTF-16BE"),
    "UTF-32": (TEXT.encode("utf-32"), "iconv -f UTF-32"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_file_is_named_with_what_to_do(name, tmp_path):
    content, remedy = FOREIGN[name]
    path = tmp_path / "corpus.data"
    path.write_bytes(content)
    readers = [lambda: open_text(path), lambda: list(lines(path)), lambda: list(open_pairs([path]))]
    if name != "gzip":  # vectors are downloaded packed, and read so
        readers.append(lambda: read_vectors(path))
    for read in readers:
        with pytest.raises(InputError) as caught:
            read()
        message = str(caught.value)
        assert name in message
        assert remedy in message
        assert message.startswith(f"{path}: is ")
        assert "\n" not in message
        assert "--unit byte" not in message


def lines(path):
    with open_bytes(path) as file:
        yield from read_lines(file, str(path))


def test_bytes_can_be_learned_from_any_file(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(FOREIGN["gzip"][0])
    assert len(open_text(path, raw=True))


def test_a_pipe_is_not_waited_for():
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

        def read(self, size=-1):
            raise AssertionError("only lines are read")

    assert [line.text for line in read_lines(Pipe(b"a\nb\n"), "stdin")] == ["a", "b"]
    with pytest.raises(InputError, match="stdin: is compressed by gzip, .* gunzip -k FILE"):
        list(read_lines(Pipe(FOREIGN["gzip"][0]), "stdin"))


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        "PK is a brand\n",
        "PAR1 golf\n",
        "GIF89 is old\n",
        "ID3 tags\n",
        "BZh is German\n",
        "RIFF raff\n",
        "Rar! it said\n",
        "a\tb\n",
        "\x1b[31mcolours of a terminal\x1b[0m\n",
        "\ufeffwith a mark\n",
        "漢字" * 400,
        "a" * 511 + "漢字",
        "é",
    ],
)
def test_text_is_text(text, tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(text, encoding="utf-8")
    assert len(open_text(path)) == len(text.removeprefix("\ufeff"))
    assert foreign_format(text.encode()[:512]) is None
    assert sum(len(line.raw) for line in lines(path)) == len(text)
