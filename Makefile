# Manta's commands. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help serve install install-dev test test-deep lint format audit bench clean

# The first Python that fits; PYTHON=... names another.
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))
PYTHON ?= $(shell for p in python3.11 python3.12 python3 /usr/bin/python3; do $$p -c '$(FITS)' 2>/dev/null && echo $$p && break; done)
RUN := .venv/bin/python -m
ARGS ?=

help: ## List the commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

serve: install ## Start everything; flags in ARGS, e.g. make serve ARGS="--port 8080"
	@exec .venv/bin/manta serve $(ARGS)

install: ## Make .venv from the locked sets (MANTA_DEVICE=cpu|gpu, TORCH_INDEX=...)
	@$(or $(PYTHON),$(error No Python 3.11 or 3.12 found. Debian 12, Ubuntu 24.04: apt-get install python3 python3-venv. Elsewhere: pyenv install 3.11, or uv python install 3.11. Then: make install PYTHON=...)) -m scripts.install

install-dev:
	@$(or $(PYTHON),$(error No Python 3.11 or 3.12 found; `make install` says more)) -m scripts.install --dev

test: install-dev ## Everything a change must pass, as CI runs it
	@$(RUN) scripts.test

test-deep: install-dev ## The full counts of the fault and load tests
	@$(RUN) scripts.test --deep

lint: install-dev ## Format, lint, types and import rules, without changing a file
	@$(RUN) scripts.test --only lint

format: install-dev ## Put the code in shape
	@$(RUN) ruff check --fix-only --quiet . ; $(RUN) ruff format .

audit: install-dev ## bandit, pip-audit (needs the network) and detect-secrets
	@$(RUN) scripts.audit $(ARGS)

bench: install-dev ## The measurements of bench/RESULTS.md (hours); one: ARGS=chat
	@exec $(RUN) bench $(or $(ARGS),all)

clean: ## Remove .venv, caches and coverage data
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis htmlcov .coverage* *.egg-info
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
