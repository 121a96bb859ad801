# Everything below works in a fresh clone: it needs Python 3.11 or newer, make and a C compiler, and makes .venv itself.
# A make of its own environment: PYTHON=python3.13 make test. More for pytest: make test ARGS="tests/unit/kernel -x".

PYTHON ?= python3
PORT ?= 45674
ARGS ?=

VENV := .venv
RUN := $(VENV)/bin/python
UV := $(RUN) -m uv --quiet
INSTALL := $(UV) pip install --python $(RUN) --no-deps --no-build-isolation --editable .

.DEFAULT_GOAL := help
.PHONY: help serve test coverage lint format types generate generated bench docs lock clean

help: ## Show this list
	@awk -F':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

serve: $(VENV)/.serve ## Serve the fake OpenAI on http://127.0.0.1:45674 (PORT=… for another port)
	@exec $(VENV)/bin/antiphon serve --port $(PORT) $(ARGS)

test: $(VENV)/.dev ## Run all tests (ARGS=… for pytest)
	@$(RUN) -m pytest -n 2 --dist worksteal $(ARGS)

coverage: $(VENV)/.dev ## Run the kernel's tests and show what they do not reach
	@$(RUN) -m pytest -p no:antiphon tests/unit/kernel --cov --cov-report=term-missing $(ARGS)

lint: $(VENV)/.dev ## Check style and the directions of imports
	@$(RUN) -m ruff check --quiet .
	@$(RUN) -m ruff format --check --quiet .
	@$(VENV)/bin/lint-imports --no-logo --cache-dir .cache/imports

format: $(VENV)/.dev ## Bring the source into shape
	@$(RUN) -m ruff check --fix --quiet . || true
	@$(RUN) -m ruff format --quiet .

types: $(VENV)/.dev ## Check types with mypy and pyright, both strict
	@$(RUN) -m mypy
	@$(RUN) -m pyright

generate: $(VENV)/.dev ## Write types/, api/ and schema/ from the official package, server/merges/ from toktok
	@$(RUN) -m codegen

generated: $(VENV)/.dev ## Check that what is generated is up to date
	@$(RUN) -m codegen --check

bench: $(VENV)/.dev ## Measure, side by side with others
	@for each in benchmarks/[a-z]*.py; do echo "== $$each"; $(RUN) $$each $(ARGS) || exit 1; done

docs: $(VENV)/.dev ## Run every example of the README and of docs/
	@$(RUN) -m pytest tests/docs $(ARGS)

lock: $(VENV)/.uv ## Choose versions anew: pyproject.toml to requirements/*.txt (ARGS=--upgrade for newer ones)
	@$(UV) pip compile $(LOCKING) requirements/bootstrap.in -o requirements/bootstrap.txt $(ARGS)
	@$(UV) pip compile $(LOCKING) pyproject.toml $(EXTRAS:%=--extra %) --group dev -c requirements/bootstrap.txt \
		-o requirements/dev.txt $(ARGS)
	@$(UV) pip compile $(LOCKING) pyproject.toml --extra server --extra audio -c requirements/dev.txt -o requirements/serve.txt $(ARGS)
	@$(UV) pip compile $(LOCKING) pyproject.toml --extra gateway -c requirements/dev.txt -o requirements/gateway.txt $(ARGS)
	@$(UV) pip compile $(LOCKING) requirements/litellm.in -o requirements/litellm.txt $(ARGS)
	@$(UV) pip compile $(LOCKING) requirements/litellm-proxy.in -o requirements/litellm-proxy.txt $(ARGS)
	@$(UV) pip compile $(LOCKING) requirements/lanarky.in -o requirements/lanarky.txt $(ARGS)
	@$(UV) pip compile $(LOCKING) requirements/rivals.in -o requirements/rivals.txt $(ARGS)
	@$(UV) pip compile $(LOCKING) requirements/rivals-older.in -o requirements/rivals-older.txt $(ARGS)

# All but `local`: its models are tested in an environment of their own.
EXTRAS := server realtime aiohttp voice_helpers bedrock vertex router gateway otel test audio recognizer

# Three days let a bad release be withdrawn, and every mirror of the registry catch up.
LOCKING := --exclude-newer '3 days' --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

clean: ## Remove the environment and every cache
	@rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage build dist

# The environment, in steps that are taken again only when what they are made from has changed.

$(VENV)/.uv: requirements/bootstrap.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Antiphon needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || echo missing)."; \
		echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; } >&2
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV) || { \
		echo "'$(PYTHON) -m venv' failed. On Debian and Ubuntu the package python3-venv has it."; exit 1; } >&2
	@echo "Setting up $(VENV) ..."
	@$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@touch $@

$(VENV)/.serve: $(VENV)/.uv requirements/serve.txt pyproject.toml
	@$(UV) pip install --python $(RUN) --require-hashes -r requirements/serve.txt
	@$(INSTALL)
	@touch $@

$(VENV)/.dev: $(VENV)/.uv requirements/dev.txt pyproject.toml
	@$(UV) pip sync --python $(RUN) --require-hashes requirements/dev.txt
	@$(INSTALL)
	@touch $@ $(VENV)/.serve
