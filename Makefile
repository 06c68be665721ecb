# Omniforge: `make run` shows it, `make test` proves it. Everything is installed into .venv from requirements.lock.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST_WORKERS ?= 2
export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: edge-tools help install run test test-fast check format bench bench-peers lock image docs clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "No venv module: install it first (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@echo "Installing from requirements.lock into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --no-deps --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

install: $(STAMP) ## create .venv from the lock

run: $(STAMP) ## a NoCode search on real data: score against ONNX Runtime latency, two workers
	@$(BIN)/python examples/bundled_data.py breast_cancer .omniforge/examples/breast_cancer.csv
	@$(BIN)/omniforge run nocode --name breast-cancer --data .omniforge/examples/breast_cancer.csv --target diagnosis \
	  --objective roc_auc --objective latency_ms --trials 40 --workers 2 --seed 0

test: $(STAMP) ## the whole test suite, a real PostgreSQL and an emulated ARM machine included
	@$(MAKE) --no-print-directory edge-tools || echo "The test of a cross-compiled model will be skipped." >&2
	@$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile

test-fast: $(STAMP) ## the tests that take under ten seconds each
	@$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile -m "not slow and not fault"

edge-tools: $(STAMP) ## what the test of a cross-compiled model needs: Debian's aarch64 compiler, qemu-user, TVM's runtime
	@PYTHON=$(BIN)/python tests/deploy/runtimes/tvm/edge_tools.sh .omniforge/edge-tools

check: $(STAMP) ## format, lint, types, layering, file sizes
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && ln -s "$$PWD" "$$dir/omniforge" && root="$$PWD" && cd "$$dir" && \
	  MYPYPATH="$$dir:$$root/tests" "$$root/$(BIN)/mypy" --config-file "$$root/pyproject.toml" --cache-dir "$$root/.mypy_cache" -p omniforge
	@$(BIN)/python -m pytest -q -p no:cacheprovider tests/test_structure.py

format: $(STAMP) ## format and mend what can be mended
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: $(STAMP) ## the benchmarks that need no data from outside
	@$(BIN)/python benchmarks/broker.py
	@$(BIN)/python benchmarks/launch.py
	@$(BIN)/python benchmarks/sidecar.py
	@$(BIN)/python benchmarks/overhead.py

bench-peers: $(STAMP) ## the peers of benchmarks/search, in .venv-peers, which sees .venv and leaves it as it is
	@$(PYTHON) -m venv --without-pip .venv-peers
	@echo "import site; site.addsitedir('$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')')" \
	  > "$$(.venv-peers/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/omniforge.pth"
	@.venv-peers/bin/python -m pip install --quiet --requirement benchmarks/search/peers.txt
	@.venv-peers/bin/python -m pip install --quiet --no-deps HEBO==0.3.6 GPy==1.15.0 paramz==0.10.0

lock: ## resolve pyproject.toml anew into requirements.lock
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && $(PYTHON) -m venv "$$dir/venv" && \
	  "$$dir/venv/bin/pip" install --quiet torch==2.13.0 && "$$dir/venv/bin/pip" install --quiet -e '.[dev]' && \
	  { sed -n '/^#/p' requirements.lock; "$$dir/venv/bin/pip" freeze --all --exclude-editable --exclude pip \
	    | sed -E 's/^(torch==[0-9.]+).*/\1/'; } > requirements.lock.new && mv requirements.lock.new requirements.lock

image: ## the container image that pipeline components run in
	@command -v docker >/dev/null && docker info >/dev/null 2>&1 || { echo "A running Docker engine is needed to build an image." >&2; exit 1; }
	docker build --file manifests/images/Dockerfile --tag omniforge/omniforge:latest .

docs: $(STAMP) ## build the documentation into site/
	@$(BIN)/mkdocs build --strict --quiet

clean: ## remove what was built, not the environment
	@rm -rf build dist site .mypy_cache .ruff_cache .pytest_cache *.egg-info
