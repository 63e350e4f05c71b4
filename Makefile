.DEFAULT_GOAL := help
.PHONY: help setup lock run browse test test-slow test-all check format dashboard clean
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
UV := $(VENV)/bin/uv
# CPU=1: torch without CUDA, 1 GB instead of 6. torch and torchvision go unchecked: the lock lacks these builds' hashes
CPU ?=
TORCH := (torch|torchvision)==
CUDA := (nvidia-|cuda-|triton==)
# Test files that run side by side
JOBS ?= 2
PYTEST := $(PY) -m pytest -n $(JOBS) --dist loadfile
# Requirements of the lock by their first line, which is not indented as the lines of hashes after it are
pick = awk '/^[^ ]/ { picked = $$0 $(1) } picked' requirements.lock
# What the commands import: setup does so once, so that bytecode is there for those that may not write it
COMMANDS := src.run, src.download, src.show, src.browser.server, uvicorn, src.pipeline.report, src.pipeline.evaluate, src.embedding.extraction, \
	src.reporting.tracking, torch.utils.tensorboard, openvino, wandb
# Where it is set, as in containers and CI, every process would compile torch, Lightning and sympy again: 10 s each
unexport PYTHONDONTWRITEBYTECODE

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(VENV)/.complete ## Make .venv from requirements.lock (CPU=1: without CUDA)

$(UV): requirements.lock
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(call pick,~ /^uv==/) > $(VENV)/uv.txt
	$(PY) -m pip install --quiet --require-hashes -r $(VENV)/uv.txt
	touch $@

# The stamp comes last, so that an install that was cut off is done again.
$(VENV)/.complete: $(UV)
	$(call pick,$(if $(CPU),!~ /^($(TORCH)|$(CUDA))/,~ /./)) > $(VENV)/requirements.txt
	$(UV) pip sync --python $(PY) --require-hashes --build-constraints requirements.lock $(VENV)/requirements.txt
	$(if $(CPU),$(UV) pip install --python $(PY) --no-deps --torch-backend cpu \
		$$($(call pick,~ /^$(TORCH)/) | sed -n 's/^\([^ ]*==[^ ]*\).*/\1/p'))
	$(PY) -c "import $(COMMANDS)"
	touch $@

lock: $(UV) ## Pin the newest versions that pyproject.toml admits and that are a week old
	$(UV) pip compile --quiet --universal --upgrade --exclude-newer "1 week" --python-version 3.11 --all-extras \
		--group dev --generate-hashes --no-annotate --no-header pyproject.toml -o requirements.lock

run: setup ## Draw the demo gallery and find every painting's neighbors
	$(PY) -m src.run experiment=demo

browse: setup ## Look at the newest run in a web browser (RUN=<folders> PORT=8050)
	$(PY) -m src.browse $(RUN) --port $(or $(PORT),8050) --open

test: setup ## Run the quick tests (JOBS=2 files side by side)
	$(PYTEST) -m "not slow"

test-slow: setup ## Run the tests that make test leaves out
	$(PYTEST) -m slow

test-all: setup ## Run all tests
	$(PYTEST)

# pip-audit ends with 1 where it finds something and where nobody answers; only the latter is an exception of requests
AUDIT = pip-audit --no-deps --disable-pip -r requirements.lock -s osv --timeout 5 --progress-spinner off

check: setup ## Lint, formatting, types, layers of imports, known vulnerabilities of what the lock pins
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	@if $(VENV)/bin/$(AUDIT) 2> $(VENV)/audit.txt; then tail -n 1 $(VENV)/audit.txt; \
	elif grep -q '^requests\.exceptions' $(VENV)/audit.txt; then \
		echo "Known vulnerabilities: not checked, OSV does not answer from here"; \
	else cat $(VENV)/audit.txt; exit 1; fi

format: setup ## Format the code
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

dashboard: setup ## Review runs in TensorBoard (FOLDER=outputs PORT=6006)
	$(PY) -m src.dashboard $(FOLDER) --port $(or $(PORT),6006)

clean: ## Remove .venv and caches; outputs/ stays
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
