# Each target is one line that calls a script or the command line. `make` alone lists them.
.PHONY: help setup demo test lint contracts brownie slither bench docs wheel ci clean
ARGS ?=

help:       ## list the targets
	@sed -n 's/^\([a-z]*\): .*## /\1: /p' Makefile | sort

setup:      ## make .venv and fetch weights and data; quick when nothing changed
	@scripts/setup

demo: setup ## tell the whole story on this machine; ARGS="--seed 1 --counterfactual"
	.venv/bin/headwater demo $(ARGS)

test: setup ## run every test; ARGS="-k shares"
	@scripts/test $(ARGS)

lint: setup ## ruff, mypy, import-linter; ARGS=--fix mends what it can
	@scripts/lint $(ARGS)

contracts: setup ## compile the contracts and write their artefacts; ARGS=--check compares only
	.venv/bin/python scripts/build_artifacts $(ARGS)

brownie:    ## compile, deploy and smoke-test the contracts with Brownie, in its own environment
	scripts/brownie_env brownie test $(ARGS)

slither: setup ## look for known mistakes in the contracts; each finding needs its reason in scripts/slither
	@scripts/slither

bench: setup ## list the benchmarks; ARGS="chain --json" runs one
	.venv/bin/headwater bench $(or $(ARGS),list)

docs: setup ## write docs/cli.md from the commands
	.venv/bin/python scripts/build_cli_docs

wheel: setup ## build the wheel into dist/
	.venv/bin/python -m build --wheel --no-isolation

ci:         ## what CI runs
	.ci/run

clean:      ## remove environments and what was built here; the cache of weights stays
	rm -rf .venv .venv-brownie .venv-kubo .venv-slither node_modules dist build/* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
