# Every target does its own set-up: only Python 3.11+, pip, git and make are assumed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
PROJECTS := -e gateway -e extensions/voice-call
SRC := gateway/src extensions/voice-call/src

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@echo "==> creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(UV): | $(BIN)/python
	@echo "==> installing the package installer (uv) into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9

$(VENV)/.runtime: requirements/runtime.txt gateway/pyproject.toml extensions/voice-call/pyproject.toml | $(UV)
	@echo "==> installing the Gateway, the plugin and embedded speech (about 110 MB, once)"
	@$(UV) pip install --python $(BIN)/python --require-hashes -r requirements/runtime.txt
	@$(UV) pip install --python $(BIN)/python --no-deps $(PROJECTS)
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	@echo "==> installing the test tools"
	@$(UV) pip install --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@touch $@

.PHONY: setup
setup: $(VENV)/.runtime ## install everything a user needs into .venv

.PHONY: demo
demo: $(VENV)/.runtime ## a whole spoken call on this machine: no account, no key, no network
	@$(BIN)/openclaw voicecall demo --out demo-output

.PHONY: test
test: $(VENV)/.dev ## all tests, with coverage; skips are counted at the end
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest tests
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

.PHONY: check
check: $(VENV)/.dev lint types architecture unit ## the quick checks: lint, types, architecture, unit

.PHONY: lint
lint: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

.PHONY: types
types: $(VENV)/.dev
	@$(BIN)/mypy

.PHONY: architecture
architecture: $(VENV)/.dev
	@$(BIN)/lint-imports

.PHONY: unit
unit: $(VENV)/.dev ## unit and property tests
	@$(BIN)/pytest tests/unit tests/property -q

.PHONY: bench
bench: $(VENV)/.dev ## benchmarks: ratios within one run, never part of the tests
	@for b in bench/bench_*.py; do echo "==> $$b"; $(BIN)/python $$b || exit 1; done

.PHONY: lock
lock: $(UV) ## pin every dependency with hashes
	@$(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
		--python-version 3.11 gateway/pyproject.toml extensions/voice-call/pyproject.toml --extra local -o requirements/runtime.txt
	@$(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
		--python-version 3.11 --group pyproject.toml:dev -c requirements/runtime.txt -o requirements/dev.txt

.PHONY: clean
clean: ## remove the environment and everything made
	@rm -rf $(VENV) demo-output .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis
