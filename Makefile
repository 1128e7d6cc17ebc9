# Two commands set everything up from a clean clone: `make run` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test check format corpus bench storm load clean
.DELETE_ON_ERROR:

.venv/run: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/dev: pyproject.toml .venv/run
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

run: .venv/run
	$(BIN)/mlstaff serve

test: .venv/dev
	$(BIN)/pytest

check: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(MAKE) test

format: .venv/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

corpus: .venv/dev
	$(BIN)/python -m tests.corpus

bench: .venv/dev
	$(BIN)/python -m tests.bench

storm: .venv/dev
	$(BIN)/python -m tests.storm

load: .venv/dev
	$(BIN)/python -m tests.load

clean:
	rm -rf .venv
