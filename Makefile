# Everything runs in .venv, made from requirements.lock by the first command that needs it.
PYTHON ?= python3
BIN := .venv/bin
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
# Without cached bytecode every process would compile its libraries anew.
unexport PYTHONDONTWRITEBYTECODE
export DO_NOT_TRACK = 1
export DAGSTER_DISABLE_TELEMETRY = yes
export BENTOML_DO_NOT_TRACK = True
export OMP_WAIT_POLICY = passive

.DEFAULT_GOAL := help
.PHONY: help up down status test check format bench lock clean

help: ## Show this help
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

up: .venv/ready ## Land real flights, compute what is new, start the UI and the endpoint
	@$(BIN)/headwater up

down: .venv/ready ## Stop the UI, the sensors and the endpoint; data stays
	@$(BIN)/headwater down

status: .venv/ready ## Show what runs, what has landed, and which model serves
	@$(BIN)/headwater status

test: .venv/ready ## Run all tests (installs Chromium and PostgreSQL with apt where they are missing)
	@tests/install-chromium
	@tests/install-postgresql
	@$(BIN)/python -m pytest $(ARGS)

check: .venv/ready ## Format, lint, types, import contracts, SQL, dbt parse, definitions, lock file
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --disable-progress-bar dbt_project/models
	$(BIN)/python -m tests.check_definitions
	@cp requirements.lock .venv/fresh.lock && $(COMPILE) --extra dev -o .venv/fresh.lock pyproject.toml
	@cmp requirements.lock .venv/fresh.lock || { echo "requirements.lock is stale: run 'make lock'"; exit 1; }
	@echo "all checks passed"

format: .venv/ready ## Format code and SQL
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/sqlfluff fix --disable-progress-bar dbt_project/models

bench: .venv/ready ## Run the benchmarks and print their tables
	@$(BIN)/python -m benchmarks

lock: .venv/ready ## Resolve the dependencies anew into the lock files
	$(COMPILE) --upgrade --extra dev -o requirements.lock pyproject.toml
	$(COMPILE) --no-annotate --group serve -c requirements.lock -o services/requirements.lock
	$(COMPILE) --no-annotate -o benchmarks/requirements.lock benchmarks/requirements.in
	$(COMPILE) --no-annotate -o benchmarks/serving/others.lock benchmarks/serving/others.in
	$(COMPILE) --no-annotate -o benchmarks/serving/mlserver.lock benchmarks/serving/mlserver.in

clean: ## Delete everything that the other commands made
	@if [ -x $(BIN)/headwater ]; then $(BIN)/headwater down; fi
	rm -rf .venv .headwater landing dbt_project/target .mypy_cache .ruff_cache .pytest_cache *.egg-info

.venv/ready: requirements.lock pyproject.toml
	@echo "Installing into .venv (about half a minute the first time) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@
