# make install: gramflow in .venv.   make demo: a small dataset, offline once installed.
# make test: everything CI checks but for make test-browser: the report in a real browser.
# make test-stores: gs:// and az://, by emulators; takes Node's npm.
# make schema: manifests/manifest.schema.json, from the model.
# make audit: known vulnerabilities of what is installed.
PYTHON ?= python3
BIN := .venv/bin
UV := $(shell command -v uv 2>/dev/null)

.PHONY: install demo test test-browser test-stores lint schema audit clean

install: .venv/.installed-demo

# An extra of pyproject.toml: install-s3, install-dask, …
install-%: .venv/.installed-% ;

.PRECIOUS: .venv/.installed-%

demo: .venv/.installed-demo
	$(BIN)/gramflow demo

# Tests wait for servers and processes more than they compute; each file stays in one process.
test: .venv/.installed-test lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile

# By Debian's chromium, which is installed where no browser is on the PATH.
test-browser: .venv/.installed-browser
	@for name in chromium chromium-browser google-chrome; do \
		command -v $$name > /dev/null && exit 0; \
	done; \
	test "$$(id -u)" = 0 && as_root= || as_root="sudo -n"; \
	{ $$as_root apt-get update -q && $$as_root apt-get install -qy --no-install-recommends chromium; } \
	|| { echo "test-browser: FAILED: there is no browser, and apt-get could not install one;" \
	"have chromium or google-chrome on the PATH, then give the command again"; exit 1; }
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/browser

test-stores: .venv/.installed-stores .venv/azurite
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/flows/test_other_stores.py

.venv/azurite: .venv/.installed-stores
	npm install --no-audit --no-fund --prefix $@ azurite@3
	touch $@

lint: .venv/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

schema: .venv/.installed-demo
	$(BIN)/gramflow schema > .venv/manifest.schema.json
	mv .venv/manifest.schema.json manifests/

# Known vulnerabilities of what is installed, without the local part of versions as torch's +cpu.
# Strict: what the registry's vulnerability service does not answer for is a failure, too.
audit: .venv/.installed-audit
	$(BIN)/python -m pip list --format=freeze --exclude-editable | sed 's/+.*//' > .venv/audited.txt
	@$(BIN)/pip-audit --strict --disable-pip --no-deps --progress-spinner off -r .venv/audited.txt \
	|| { echo "audit: FAILED: the lines above name vulnerable packages, or say that the" \
	"vulnerability service of pypi.org cannot be reached or does not know a package: then" \
	"nothing is known, and it is to be done again where it can"; exit 1; }

# One folder for all; the marker says which extra is in it.
.venv/.installed-%: pyproject.toml
	@echo "installing gramflow[$*] into .venv; torch alone is some GB, so this takes minutes"
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
