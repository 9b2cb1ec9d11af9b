# make run | test | check | bench | reliability | docs | docs-check | hashes | clean        (another Python: make run PYTHON=/path/to/python3.12)

VENV ?= .venv
BIN := $(VENV)/bin

# The first Python that this suite supports; `python3` itself has precedence over the versioned names.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1 && { echo $$p; break; }; done)

.PHONY: run test check bench reliability docs docs-check hashes clean
.DELETE_ON_ERROR:

run: $(VENV)/run.stamp
	$(BIN)/trifold demo

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest

check: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: $(VENV)/dev.stamp
	$(BIN)/python -m tests.benchmarks.startup
	$(BIN)/python -m tests.benchmarks.trainer_overhead
	$(BIN)/python -m tests.benchmarks.graphs_speed

reliability: $(VENV)/dev.stamp
	$(BIN)/python -m tests.reliability

docs: $(VENV)/docs.stamp
	NO_MKDOCS_2_WARNING=true $(BIN)/python -m mkdocs build --strict

docs-check: docs
	$(BIN)/python -m docs.check build/docs

# SHA-256 of all files of the pinned packages, as the public index lists them; needs uv (`pip install uv`).
hashes: constraints.txt
	uv pip compile --quiet --generate-hashes --no-deps --no-header --no-annotate -o constraints-hashes.txt constraints.txt

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11-3.13 found: install one, then: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) cannot make a virtual environment: install its venv module (python3-venv)"; exit 1; }

$(VENV)/run.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -c constraints.txt -e .
	@touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/run.stamp

$(VENV)/docs.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -c constraints.txt -e '.[docs]'
	@touch $@ $(VENV)/run.stamp
