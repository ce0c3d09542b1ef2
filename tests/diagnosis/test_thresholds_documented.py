import re
from pathlib import Path

from recurra.diagnosis import thresholds

PAGE = (Path(__file__).parents[2] / "docs" / "diagnosis.md").read_text()


def test_the_page_quotes_the_thresholds_as_they_are():
    quoted = {
        "VANISHED": r"less than 1 % of the gradient", "HORIZON": r"at lag 100", "KEPT": r"1 % to 10 % is left",
        "CHAOTIC": r"above 0\.005 nats", "MOSTLY": r"more than half", "STUCK": r"at 99 %", "REMARKABLE": r"from 5 %",
        "USEFUL": r"misses 2 %", "SHORTEST": r"fewer than ten lags", "SATURATED": r"outer tenth", "DEAD": r"always 0",
    }  # fmt: skip
    values = {
        "VANISHED": 0.01, "HORIZON": 100, "KEPT": 0.1, "CHAOTIC": 0.005, "MOSTLY": 0.5, "STUCK": 0.99,
        "REMARKABLE": 0.05, "USEFUL": 0.02, "SHORTEST": 10, "SATURATED": 0.9, "DEAD": 1e-6,
    }  # fmt: skip
    assert {name: getattr(thresholds, name) for name in dir(thresholds) if name.isupper()} == values
    for pattern in quoted.values():
        assert re.search(pattern, PAGE.replace("\n", " ")), pattern


def test_the_example_on_the_page_runs(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    exec(example, {})
    told = capsys.readouterr().out
    assert told.startswith("LSTM: gradients vanish")
    assert "context: " in told
