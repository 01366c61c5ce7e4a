# `make demo` and `make test` need Python >= 3.11, git, make and the package registries; they install everything else.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
UV := .make/uv/bin/uv
RUN := $(UV) run --frozen --no-sync
VERSIONS ?= 1.36
N ?= 100
SEED ?= 0
CHAOS ?= 600
KIND_IMAGE ?=
KIND_CONFIG ?=
KIND_TESTS ?= tests/kind
export PYTHONWARNINGS ?=

.PHONY: help setup binaries helm image rights demo test unit plugin integration e2e versions packaging kind lint bench soak chaos clean
help: ## show this help
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(UV):
	@echo "== installing uv"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	@$(PYTHON) -m venv .make/uv && .make/uv/bin/pip install --quiet --disable-pip-version-check uv

.make/synced: $(UV) uv.lock pyproject.toml syncer/pyproject.toml
	@echo "== installing dependencies"
	@$(UV) sync --frozen --quiet --python $(PYTHON)
	@touch $@

setup: .make/synced ## install uv and all dependencies into .venv

binaries: setup ## fetch or build the Kubernetes binaries of VERSIONS (default 1.36) ahead of time
	@$(RUN) pytest-vcluster fetch $(VERSIONS)

helm: setup ## fetch or build helm, which renders the chart
	@$(RUN) python -m pytest_vcluster.toolchain helm

image: setup ## build the syncer's image with Docker
	@$(RUN) pytest-vcluster image

rights: setup ## write the chart's rights off the syncer's kinds
	@$(RUN) python charts/rights.py

demo: binaries ## a real operator's test suite, every test in its own Kubernetes cluster, in parallel
	@echo "== examples/kopf_operator: every test has a Kubernetes cluster of its own"
	@$(RUN) pytest -c examples/kopf_operator/pytest.ini examples/kopf_operator -n 2 -v

test: unit plugin packaging integration e2e ## all tiers that need no container, on the default Kubernetes version

unit: setup ## pure functions, seconds
	@$(RUN) pytest tests/unit -q -n 2

plugin: setup ## the plugin under pytester, over a fake host
	@$(RUN) pytest tests/plugin -q -n 2

packaging: helm ## wheels and the chart, and what is in them
	@$(RUN) pytest tests/packaging -q -n 2

integration: binaries ## real API servers, no containers
	@$(RUN) pytest tests/integration -q -m "not versions" -n 2 --dist loadfile --vcluster-timeout 180

e2e: binaries ## the examples, as a user runs them
	@$(RUN) pytest tests/e2e -q -m "not versions"

versions: VERSIONS = 1.35 1.36 1.37
versions: binaries ## what needs three Kubernetes versions: skew between host and virtual cluster, the same tests on each
	@$(RUN) pytest tests/integration tests/e2e -q -m versions

kind: helm image ## what needs real containers; KIND_IMAGE and KIND_CONFIG where this machine needs its own
	@$(RUN) python -m pytest_vcluster.toolchain kind
	@PYTEST_VCLUSTER_HOST=kind PYTEST_VCLUSTER_KIND_IMAGE="$(KIND_IMAGE)" PYTEST_VCLUSTER_KIND_CONFIG="$(KIND_CONFIG)" $(RUN) pytest $(KIND_TESTS) -q --timeout 900 --vcluster-timeout 180

lint: setup ## ruff, mypy, layer contracts
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) mypy
	@$(RUN) lint-imports

bench: binaries ## side by side: envtest, a bare API server, pytest-vcluster
	@$(RUN) python -m bench

soak: binaries ## N (100) random leases, each cluster compared with a fresh one when it is handed out
	@$(RUN) python -m soak $(N) --seed $(SEED) --versions "$$(echo $(VERSIONS) | tr ' ' ',')"

chaos: binaries ## random edits, faults and kill -9 for CHAOS (600) seconds each, judged by an oracle
	@PYTEST_VCLUSTER_CHAOS_SECONDS=$(CHAOS) $(RUN) pytest tests/integration/test_syncer_random.py -q

clean: ## remove what make and the tools made here (not the binary cache)
	rm -rf .make .venv .tox .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
