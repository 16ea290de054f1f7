# Everything starts here: make run, make test, make lint, make bench, make clean.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: run test lint bench clean lock
run: $(VENV)/run.stamp ## start everything and stay in the foreground
	@exec $(BIN)/taskledger up

test: $(VENV)/dev.stamp ## run every test, or those of TESTS=path
	$(BIN)/python -m pytest $(if $(TESTS),$(TESTS),--cov)

lint: $(VENV)/dev.stamp ## style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/bench.stamp ## compare with the peers in one run; prints a Markdown table
	$(BIN)/python -m bench

clean: ## remove what make made in this folder; your tasks are kept
	rm -rf $(VENV) .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

lock: ## choose the newest versions again (needs uv)
	uv pip compile -q -U pyproject.toml --group build --generate-hashes --universal --no-header --no-annotate -o requirements/run.txt
	uv pip compile -q pyproject.toml --group build --group dev -c requirements/run.txt --generate-hashes --universal --no-header --no-annotate -o requirements/dev.txt
	uv pip compile -q pyproject.toml --group build --group dev --group bench -c requirements/dev.txt --generate-hashes --universal --no-header --no-annotate -o requirements/bench.txt

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Taskledger needs Python 3.11 or newer with venv. Install it (Debian: apt install python3 python3-venv) or name it: make run PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/%.stamp: requirements/%.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing the packages of requirements/$*.txt (the first time this takes a minute)"
	@$(PIP) install --quiet --no-deps --require-hashes -r requirements/$*.txt || { echo "The packages could not be installed: check the network connection and the disk, then run the same command again."; exit 1; }
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
