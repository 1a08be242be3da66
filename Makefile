# Everything the tree can do by itself. Each target makes its own environment in .venv from the
# hashed lock files; `make help` lists them.

SHELL := /bin/bash
BIN := .venv/bin
PYTEST_ARGS ?=
ENGINE ?= native
FUZZ_S ?= 60
SEEDS ?= 2000-20000
export PBX

.PHONY: help run demo test differential search fuzz installs lint check lock clean
.PHONY: ready-to-run ready-to-develop
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

ready-to-run:
	@deploy/bootstrap.sh run

ready-to-develop:
	@deploy/bootstrap.sh dev

run: ready-to-run ## the SBC in front of PBX=host:port; the demo when no PBX is given
ifeq ($(strip $(PBX)),)
	@echo "No PBX=host:port given: running the demo with a built-in PBX and phone."
	@exec $(BIN)/sbc demo
else
	@echo "Running deploy/sbc.yaml in front of the PBX $(PBX)."
	@exec $(BIN)/sbc run deploy/sbc.yaml
endif

demo: ready-to-run ## one pass of the demo: exits 0 only if audio came back both ways; ENGINE=python
	@exec $(BIN)/sbc demo --once --engine $(ENGINE)

test: ready-to-develop ## all tests; interop ones need root and say so when they are skipped
	@deploy/rust.sh test
	@exec $(BIN)/pytest $(PYTEST_ARGS)

differential: ready-to-develop ## both media engines do the same, for many SEEDS=from-to
	@ENGINE_SEEDS=$(SEEDS) exec $(BIN)/pytest tests/engine/test_differential.py $(PYTEST_ARGS)

search: ready-to-develop ## the property tests, with ten times the examples and other ones each time
	@exec $(BIN)/pytest -m hypothesis --hypothesis-profile=search $(PYTEST_ARGS)

fuzz: ## fuzz the native engine, FUZZ_S= seconds each target; needs cargo and a C++ compiler
	@media/native/fuzz/run.sh $(FUZZ_S)

installs: ready-to-develop ## a wheel installs and runs, with a native engine and without (minutes)
	@exec $(BIN)/pytest tests/installs $(PYTEST_ARGS)

lint: ready-to-develop ## style, types, import contracts; of the crates too where there is cargo
	@deploy/rust.sh lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test ## lint, then test

# The oldest Python we support resolves the locks; later ones need no more packages.
lock: ## resolve the dependencies anew and write the lock files
	@python3.11 -m venv build/lock && build/lock/bin/python -m pip --quiet install pip-tools==7.6.2
	@deploy/lock.sh build/lock/bin/pip-compile

clean: ## remove what the other targets made
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache media/_native*.so media/native/target media/native/fuzz/target \
		media/native/fuzz/corpus
	find sbc media tests -name __pycache__ -type d -exec rm -rf {} +
