# Two commands: `make run` and `make test`. Everything they need is installed into .venv, from hashed requirements.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help
help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(VENV)/.installed: requirements.txt requirements-bootstrap.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; name one: make PYTHON=/path/to/python3.11 …"; exit 1; }
	@echo "Installing into $(VENV) (about a minute the first time) …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bootstrap.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: install
install: $(VENV)/.installed ## Set up .venv.

.PHONY: run
run: install ## Run everything on this machine with real baskets, and look.
	@$(BIN)/cosmo demo

.PHONY: test
test: install ## Run every test on real parts, which are started and stopped by it.
	@$(BIN)/python -m pytest

.PHONY: faults
faults: install ## Kill everything, over and over, under load; lose nothing. KILLS=200 SEED=1 OUTAGE_S=600
	@$(BIN)/python -m pytest tests/faults --faults-kills=$(or $(KILLS),200) --faults-seed=$(or $(SEED),1) \
		--faults-sessions=$(or $(SESSIONS),4000) --faults-outage-s=$(or $(OUTAGE_S),600)

.PHONY: lint
lint: install ## Style, types, import direction.
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: bench
bench: $(VENV)/.bench .venv-quix/.installed ## Measure against peers and goals; writes docs/benchmarks.md (takes minutes, and the machine to itself).
	@$(BIN)/python -m bench.report

$(VENV)/.bench: bench/requirements.txt $(VENV)/.installed
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r $<
	@touch $@

# A peer whose pins (pydantic-settings, rich) contradict ours: its own environment, for measuring only.
.venv-quix/.installed: bench/requirements-quix.txt $(VENV)/.installed
	@test -x .venv-quix/bin/python || $(BIN)/python -m venv .venv-quix
	@$(BIN)/uv pip install --quiet --python .venv-quix/bin/python --require-hashes -r $<
	@touch $@

.PHONY: lock
lock: install ## Write the hashed requirements anew from pyproject.toml.
	@$(BIN)/uv pip compile pyproject.toml --extra build --extra stack --extra dev --generate-hashes --universal \
		--python-version 3.11 --no-emit-index-url --no-header --no-annotate --quiet -o requirements.txt
	@$(BIN)/uv pip compile pyproject.toml --extra build --constraint requirements.txt --generate-hashes --universal \
		--python-version 3.11 --no-emit-index-url --no-header --no-annotate --quiet -o requirements-service.txt
	@echo "rocksdict>=0.3.25,<0.4" | $(BIN)/uv pip compile - --generate-hashes --universal \
		--python-version 3.11 --no-emit-index-url --no-header --no-annotate --quiet -o bench/requirements.txt
	@echo "quixstreams>=3.28 fastavro psutil" | tr ' ' '\n' | $(BIN)/uv pip compile - --generate-hashes --universal \
		--python-version 3.11 --no-emit-index-url --no-header --no-annotate --quiet -o bench/requirements-quix.txt

.PHONY: clean
clean: ## Stop the local stack and remove what was installed and stored.
	@test ! -x $(BIN)/cosmo || $(BIN)/cosmo stack down
	@rm -rf $(VENV) .cosmo
