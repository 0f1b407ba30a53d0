# What a developer does here. Needs Python 3.11 or newer and make, nothing else.
.DEFAULT_GOAL := help
.PHONY: help demo quick test check bench chaos ui cluster up down lock clean

BIN := .venv/bin
PYTEST_ARGS ?=
WORKERS ?= 2
FAULTS ?= 200
# The cluster tests go on in one process beside all else; see tests/conftest.py.
PYTEST := $(BIN)/python -m pytest -n 2 --no-loadscope-reorder

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.installed  ## tune a small network on real data, from start to report
	@$(BIN)/surefoot run examples/breast-cancer.toml

quick: .venv/.installed  ## what to run while working: no cluster, no browser, no long science
	$(PYTEST) -m "not cluster and not browser and not science" $(PYTEST_ARGS)

test: check  ## check, then every test; PYTEST_ARGS="-n 0 -k cliff" adds arguments
	$(PYTEST) --durations=10 $(PYTEST_ARGS)

check: .venv/.installed  ## format, lint, types and the order of the layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: .venv/.installed  ## measure speed and overheads
	@$(BIN)/python -m benchmarks

chaos: .venv/.installed  ## 200 faults (FAULTS=20) in jobs on a cluster, ten kills, every route, 2,000 wrong inputs
	SUREFOOT_CHAOS_FAULTS=$(FAULTS) $(BIN)/python -m pytest -q -s \
		tests/chaos tests/deploy/test_closed.py tests/tuning/properties

ui: .venv/.installed  ## open the MLflow UI on this machine's data
	@$(BIN)/surefoot ui

cluster: .venv/.installed  ## the cluster on this machine without Docker, until Ctrl-C
	@$(BIN)/python -m deploy

up: .venv/.installed  ## the cluster with Docker; WORKERS=4 says how many
	@$(BIN)/python -m deploy.docker
	@docker compose up --build --detach --wait --scale ray-worker=$(WORKERS)
	@$(BIN)/python -m deploy.docker --exports

down:  ## stop the cluster that `make up` started; its data stay
	@docker compose down

# What is locked stays at its version unless pyproject.toml rules it out: delete a pin to renew it.
lock: .venv/.installed  ## renew requirements.lock after editing pyproject.toml
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --generate-hashes \
		--allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links \
		--no-emit-trusted-host --extra dev --extra postgres --extra server \
		--output-file requirements.lock pyproject.toml

clean:  ## remove .venv, caches and build output; keep surefoot-data
	rm -rf .venv build dist surefoot.egg-info \
		.mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A candidate must run, not only exist: a version manager's shim may stand for nothing. -qq leaves
# pip's errors only: its warnings are about its own configuration.
.venv/.installed: requirements.lock pyproject.toml
	@for python in python3.11 python3; do \
		$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
		python=; \
	done; \
	if [ -z "$$python" ]; then \
		echo "surefoot needs Python 3.11 or newer: no such python3.11 or python3 on the PATH" >&2; \
		exit 1; \
	fi; \
	echo "installing surefoot and what it needs into .venv (about two minutes)"; \
	$$python -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check \
		--require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check \
		--no-deps --no-build-isolation -e .
	@touch $@
