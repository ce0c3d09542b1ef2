"""Detects files that are not text by their first bytes, and says how to convert them."""

from __future__ import annotations

from recurra.errors import InputError

# Number of bytes examined: the signature of a tar archive is at byte 257.
HEAD = 512

# Signatures with bytes that are not UTF-8, or control characters, which no text has.
_BINARY = (
    (b"\x1f\x8b", "compressed by gzip", "Unpack it first: gunzip -k {name}"),
    (b"BZh", "compressed by bzip2", "Unpack it first: bunzip2 -k {name}"),
    (b"\xfd7zXZ\x00", "compressed by xz", "Unpack it first: unxz -k {name}"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "Unpack it first: unzstd {name}"),
    (b"\x04\x22\x4d\x18", "compressed by lz4", "Unpack it first: unlz4 {name}"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "Unpack it first: 7z x {name}"),
    (b"Rar!\x1a\x07", "a RAR archive", "Unpack it first: unrar x {name}"),
    (b"PAR1", "a Parquet table", "Write its text into a file first, with pandas.read_parquet for example"),
    (b"ARROW1", "an Arrow table", "Write its text into a file first, with pandas.read_feather for example"),
    (b"SQLite format 3\x00", "an SQLite database", "Write its text into a file first, with sqlite3"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document", "Save it as plain text in UTF-8 first"),
    (b"\x89PNG", "a PNG image", "A picture of text needs character recognition first"),
    (b"\xff\xd8\xff", "a JPEG image", "A picture of text needs character recognition first"),
    (b"GIF8", "a GIF image", "A picture of text needs character recognition first"),
    (b"II*\x00", "a TIFF image", "A picture of text needs character recognition first"),
    (b"MM\x00*", "a TIFF image", "A picture of text needs character recognition first"),
    (b"RIFF", "sound, video or an image in RIFF", "A recording of speech needs to be transcribed first"),
    (b"OggS", "sound in Ogg", "A recording of speech needs to be transcribed first"),
    (b"fLaC", "sound in FLAC", "A recording of speech needs to be transcribed first"),
    (b"ID3", "sound in MP3", "A recording of speech needs to be transcribed first"),
    (b"\x89HDF", "an HDF5 file", "Write its text into a file first, with h5py for example"),
    (b"\x93NUMPY", "a NumPy array", "Write its text into a file first"),
    (b"\x7fELF", "a program", "Name a text file"),
    (b"\x00asm", "a program", "Name a text file"),
)
# Signatures of printable characters.
_PRINTABLE = (
    (b"%PDF-", "a PDF document", "Take its text out first: pdftotext {name}"),
    (b"{\\rtf", "a rich text document", "Save it as plain text in UTF-8 first"),
)
# Formats that are zip archives, by the names of the first files in them.
_ZIPPED = (
    (b"word/", "a Word document", "Save it as plain text in UTF-8 first, or: pandoc {name} -t plain"),
    (b"xl/", "an Excel table", "Save it as text in UTF-8, apart by tabs, first"),
    (b"ppt/", "a PowerPoint document", "Save it as plain text in UTF-8 first"),
    (b"[Content_Types].xml", "an Office document", "Save it as plain text in UTF-8 first"),
    (b"vnd.oasis.opendocument", "an OpenDocument file", "Save it as plain text in UTF-8 first"),
    (b"epub+zip", "an EPUB book", "Take its text out first: pandoc {name} -t plain"),
    (b".npy", "an archive of NumPy arrays", "Write their text into a file first"),
)
_ICONV = "Convert it to UTF-8 first: iconv -f {code} -t UTF-8 {name}"


def refuse_foreign(head: bytes, name: str) -> None:
    """Refuses a file whose first bytes show that it is not text in UTF-8.

    Args:
        head: its first `HEAD` bytes, or fewer.
        name: name of the file in the error message.

    Raises:
        InputError: it is an archive, a document, an image, UTF-16, …; the message says how to convert it.
    """
    kind = foreign_format(head)
    if kind is not None:
        what, remedy = kind
        remedy = remedy.replace("{name}", "FILE" if name == "stdin" else name)
        raise InputError(f"{name}: is {what}, expected text in UTF-8. {remedy}")


def foreign_format(head: bytes) -> tuple[str, str] | None:
    """Returns the format of a file and a remedy, by its first bytes; None if it may be text."""
    for begin, what, remedy in _PRINTABLE:
        if head.startswith(begin):
            return what, remedy
    wide = _wide_encoding(head)
    if wide is not None:
        return f"text in {wide}", _ICONV.replace("{code}", wide)
    if not _is_binary(head):
        return None
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zipped(head)
    if head[257:262] == b"ustar":
        return "a tar archive", "Unpack it first: tar -xf {name}"
    if head[4:8] == b"ftyp":
        return "a film or sound in MP4", "A recording of speech needs to be transcribed first"
    return next(((what, remedy) for begin, what, remedy in _BINARY if head.startswith(begin)), None)


def _zipped(head: bytes) -> tuple[str, str]:
    matches = ((what, remedy) for begin, what, remedy in _ZIPPED if begin in head)
    return next(matches, ("a zip archive", "Unpack it first: unzip {name}"))


def _is_binary(head: bytes) -> bool:
    """Whether there are control characters that do not occur in text, or bytes that are not UTF-8."""
    if any(byte < 9 or 14 <= byte < 27 or 28 <= byte < 32 for byte in head):
        return True
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.end < len(head) or len(head) - error.start > 3  # otherwise the last character is just incomplete
    return False


def _wide_encoding(head: bytes) -> str | None:
    """UTF-16 or UTF-32, by the byte order mark or by the zeros of characters below U+0100."""
    for mark, code in ((b"\xff\xfe\x00\x00", "UTF-32"), (b"\x00\x00\xfe\xff", "UTF-32")):
        if head.startswith(mark):
            return code
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16"
    # Without a mark: almost all bytes at even or at odd positions are zero, and none of the others.
    even, odd = head[0::2], head[1::2]
    for zeros, others, code in ((odd, even, "UTF-16LE"), (even, odd, "UTF-16BE")):
        if len(zeros) >= 8 and zeros.count(0) >= 0.9 * len(zeros) and not others.count(0):
            return code
    return None
