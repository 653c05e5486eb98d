# make demo: a small dataset, offline once installed.   make test: everything CI checks.
PYTHON ?= python3
BIN := .venv/bin
UV := $(shell command -v uv 2>/dev/null)

.PHONY: demo test lint clean

demo: .venv/.installed-demo
	$(BIN)/gramflow demo

test: .venv/.installed-test lint
	$(BIN)/pytest

lint: .venv/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# One folder for both; the marker says which extra is in it.
.venv/.installed-%: pyproject.toml
ifdef UV
	test -d .venv || uv venv --python $(PYTHON) .venv
	uv pip install --python $(BIN)/python -e '.[$*]'
else
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -e '.[$*]'
endif
	touch $@

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
