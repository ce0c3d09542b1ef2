# Two commands set everything up: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint clean

.venv/base: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) --editable .
	@touch $@

.venv/dev: .venv/base
	$(PIP) --editable '.[dev]'
	@touch $@

demo: .venv/base
	$(BIN)/recurra train lm --out demo --recipe recipes/demo.toml --overwrite
	$(BIN)/recurra generate demo --prompt "class " --length 600 --temperature 0.6 --seed 1

test: lint
	$(BIN)/python -m pytest --durations=10

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv demo build dist .pytest_cache .mypy_cache .ruff_cache
