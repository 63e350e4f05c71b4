.DEFAULT_GOAL := help
.PHONY: help setup lock run test check format dashboard clean
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
# CPU=1: torch without CUDA, 1 GB instead of 6
CPU ?=
NO_CUDA := $(if $(CPU),grep -vE '^(nvidia-|cuda-|triton)',cat)
BACKEND := $(if $(CPU),--torch-backend cpu)

help: ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(VENV)/.complete ## Make .venv from requirements.lock (CPU=1: without CUDA)

# The stamp comes last, so that an install that was cut off is done again.
$(VENV)/.complete: requirements.lock
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet "$$(grep '^uv==' requirements.lock)"
	$(NO_CUDA) requirements.lock > $(VENV)/wanted.txt
	$(VENV)/bin/uv pip sync --python $(PY) $(BACKEND) $(VENV)/wanted.txt
	touch $@

lock: ## Pin the newest versions that pyproject.toml admits
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet uv
	$(VENV)/bin/uv pip compile --quiet --universal --upgrade --python-version 3.11 \
		--all-extras --group dev --no-annotate --no-header pyproject.toml -o requirements.lock

run: setup ## Draw the demo gallery and find every painting's neighbors
	$(PY) -m src.run experiment=demo

test: setup ## Run the tests
	$(PY) -m pytest

check: setup ## Lint, formatting, types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: setup ## Format the code
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

dashboard: setup ## Review runs in TensorBoard (FOLDER=outputs PORT=6006)
	$(PY) -m src.dashboard $(FOLDER) --port $(or $(PORT),6006)

clean: ## Remove .venv and caches; outputs/ stays
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
