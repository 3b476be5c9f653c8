# lastgood: `make` lists the targets. Each sets up what it needs in $(VENV); only python3 >= 3.11, make and a package index are needed.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
VENV ?= .venv
# Two workers: on more, tests that own a real clock begin to disturb each other.
WORKERS ?= 2
# Extra words for the demo or for pytest, such as `make demo ARGS=--json` or `make quick ARGS='-k cooldown'`.
ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

.PHONY: help demo quick check ruff format-check types layers house test proof score format setup conformance-setup lock clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

demo: $(VENV)/.runtime ## watch lastgood catch a bad deployment, roll it back and verify it, on this machine alone (ARGS=--json)
	@$(BIN)/python -m daemon demo $(ARGS)

quick: $(VENV)/.dev ## the fast tests, under 30 s: unit, playbook, house
	$(BIN)/pytest tests/unit tests/playbook tests/house -q -m "not slow and not proof" $(ARGS)

check: ruff format-check types layers house ## lint, format, types, layers and house rules (`make -k check` shows them all)

ruff: $(VENV)/.dev
	$(BIN)/ruff check .

format-check: $(VENV)/.dev
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

layers: $(VENV)/.dev
	$(BIN)/lint-imports

house: $(VENV)/.dev
	$(BIN)/pytest tests/house -q -m "not slow and not proof"

test: check ## every check and every test but the long runs, under 5 minutes
	$(BIN)/pytest -q -n $(WORKERS) -m "not proof" $(ARGS)

proof: $(VENV)/.dev ## the long runs, with a table of minutes, 45 minutes at most (ARGS=PATH runs some of them)
	$(BIN)/python .ci/proof.py $(ARGS)

score: $(VENV)/.runtime ## judge the labelled traces and print what was false, missed and late, at 10 s and at 60 s polls
	@$(BIN)/python -m bench.score $(ARGS)

format: $(VENV)/.dev ## format the code and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup: $(VENV)/.dev ## set up everything for development in $(VENV)

conformance-setup: ## install both Vercel CLIs and the SDK outside the tree, for tests/conformance (needs node >= 20 and npm)
	@.ci/install-vercel-clients

lock: ## resolve both locks again (UPGRADE=--upgrade takes newer releases)
	@PYTHON=$(PYTHON) .ci/lock $(UPGRADE)

clean: ## remove the environment and every cache of the tools
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: each stands for an environment that agrees with the lock it was made from.
$(VENV)/.created:
	@command -v $(PYTHON) >/dev/null || { echo "lastgood needs Python 3.11 or newer: $(PYTHON) was not found; name another with PYTHON=" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "lastgood needs Python 3.11 or newer: $(PYTHON) is $$($(PYTHON) --version 2>&1); name another with PYTHON=" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) has no venv module; on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: requirements.lock | $(VENV)/.created
	$(PIP) install --quiet --quiet --require-hashes --only-binary :all: -r requirements.lock
	@touch $@

# The package itself is installed without its dependencies (the lock gave them) and built by the locked hatchling.
$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(VENV)/.created
	$(PIP) install --quiet --quiet --require-hashes --only-binary :all: -r requirements-dev.lock
	$(PIP) install --quiet --quiet --no-deps --no-build-isolation --editable .
	@touch $(VENV)/.runtime $@
