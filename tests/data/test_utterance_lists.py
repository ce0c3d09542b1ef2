"""Lists of recordings: manifests, Kaldi, LibriSpeech and Common Voice; what is wrong is one line with its number."""

import pytest

from recurra.data.audio.utterances import open_utterances
from recurra.errors import InputError


def write(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def rows(utterances):
    return [(str(one.path), one.text, one.start, one.end, one.speaker) for one in utterances]


@pytest.mark.parametrize(
    "content",
    [
        'audio,text,start,end,speaker\na/1.wav,"Yes, sir",,,ann\n2.wav,no,0.5,1.5,\n',
        '\ufeffTEXT,Audio,End,note,Start,Speaker\r\n"Yes, sir",a/1.wav,,x,,ann\r\nno,2.wav,1.5,y,0.5,\r\n',
        "audio\ttext\tstart\tend\tspeaker\na/1.wav\tYes, sir\t\t\tann\n\n2.wav\tno\t0.5\t1.5\t\n",
    ],
)
def test_a_manifest(tmp_path, content):
    write(tmp_path, {"m.csv": content})
    utterances = open_utterances([tmp_path / "m.csv"])
    assert rows(utterances) == [
        (str(tmp_path / "a/1.wav"), "Yes, sir", None, None, "ann"),
        (str(tmp_path / "2.wav"), "no", 0.5, 1.5, None),
    ]
    assert not utterances[0].is_features
    assert utterances[0].place.endswith("m.csv:2")
    assert utterances[1].name == "2.wav (0.5–1.5 s)"


def test_a_manifest_of_features(tmp_path):
    write(tmp_path, {"m.csv": "features,text\nf/1.npy,YES\n"})
    [one] = open_utterances([tmp_path / "m.csv"])
    assert (one.path, one.is_features) == (tmp_path / "f/1.npy", True)


def test_kaldi(tmp_path):
    write(
        tmp_path,
        {
            "wav.scp": "r1 one.wav\nr2 /else/two.wav\n",
            "one.wav": b"",
            "segments": "u1 r1 0 1.5\nu2 r2 2.0 -1\n",
            "text": "u2 no\nu1 yes  sir\n",
            "utt2spk": "u1 ann\nu2 bob\n",
        },
    )
    assert rows(open_utterances([tmp_path])) == [
        (str(tmp_path / "one.wav"), "yes  sir", 0, 1.5, "ann"),
        ("/else/two.wav", "no", 2, None, "bob"),
    ]


def test_librispeech(tmp_path):
    write(
        tmp_path,
        {"84/12/84-12.trans.txt": "84-12-0000 GO ON\n84-12-0001 STOP\n", "9/1/9-1.trans.txt": "9-1-0000 YES\n"},
    )
    assert rows(open_utterances([tmp_path])) == [
        (str(tmp_path / "84/12/84-12-0000.flac"), "GO ON", None, None, "84"),
        (str(tmp_path / "84/12/84-12-0001.flac"), "STOP", None, None, "84"),
        (str(tmp_path / "9/1/9-1-0000.flac"), "YES", None, None, "9"),
    ]


def test_common_voice(tmp_path):
    table = 'client_id\tpath\tsentence\tup_votes\nab\tx.mp3\tHe said "no".\t2\n'
    write(tmp_path, {"train.tsv": table, "clips/x.mp3": b""})
    assert rows(open_utterances([tmp_path / "train.tsv"])) == [
        (str(tmp_path / "clips/x.mp3"), 'He said "no".', None, None, "ab")
    ]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"m.csv": ""}, "m.csv: the file is empty, expected column names"),
        ({"m.csv": "audio,text\n"}, "m.csv: no rows below the header"),
        ({"m.csv": "wav,words\n1.wav,a\n"}, "m.csv:1: the columns are wav, words; expected a manifest"),
        ({"m.csv": "audio,speaker\n1.wav,a\n"}, "m.csv:1: no column text, only audio, speaker"),
        ({"m.csv": "audio,features,text\n1.wav,2.npy,a\n"}, "m.csv:1: columns audio and features"),
        ({"m.csv": "audio,audio,text\n1.wav,2.wav,a\n"}, "m.csv:1: 2 columns are named 'audio'"),
        ({"m.csv": "audio,text\n1.wav,a,b\n"}, "m.csv:2: 3 columns separated by commas, expected 2.*in quotes"),
        ({"m.csv": "audio,text\n1.wav\n"}, "m.csv:2: 1 columns separated by commas, expected 2"),
        ({"m.csv": "audio,text\n,a\n"}, "m.csv:2: no file in column audio"),
        ({"m.csv": b"audio,text\n1.wav,\xff\n"}, "m.csv:2: .*UTF-8"),
        ({"m.csv": 'audio,text\n1.wav,"a"b\n'}, "m.csv:2: not comma-separated values"),
        ({"m.csv": "audio,text,start\n1.wav,a,soon\n"}, "m.csv:2: start is 'soon', expected seconds"),
        ({"m.csv": "audio,text,start,end\n1.wav,a,2,1\n"}, "m.csv:2: end=1 s, expected more than start=2 s"),
        ({"m.csv": "features,text,start\n1.npy,a,2\n"}, "m.csv:1: columns start and end, but features"),
        ({"m.csv/wav.scp": "r1 sox a.wav - |\n", "m.csv/text": "r1 a\n"}, "wav.scp:1: .* output of a command"),
        ({"m.csv/wav.scp": "r1 a.wav\n"}, "no file text"),
        ({"m.csv/wav.scp": "r1 a.wav\nr1 b.wav\n", "m.csv/text": "r1 a\n"}, "wav.scp:2: 'r1' is also in line 1"),
        ({"m.csv/wav.scp": "r1 a.wav\n", "m.csv/text": "r2 a\n"}, "'r1' is not in the file text"),
        ({"m.csv/1-2.trans.txt": "3-4-0000 A\n"}, "begins with '3-4-0000', expected an identifier such as 1-2-0000"),
        ({"m.csv/nothing.txt": "a"}, "m.csv: "),
    ],
)
def test_what_cannot_be_read(tmp_path, files, message):
    write(tmp_path, files)
    with pytest.raises(InputError, match=message) as caught:
        open_utterances([tmp_path / "m.csv"])
    assert "\n" not in str(caught.value)


def test_missing_and_no_files(tmp_path):
    with pytest.raises(InputError, match="missing.csv"):
        open_utterances([tmp_path / "missing.csv"])
    with pytest.raises(InputError, match="no data"):
        open_utterances([])
