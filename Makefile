# The targets and what they do are listed by `make` alone, from the text after each ##.

ROOT := $(shell cd "$$(dirname '$(strip $(MAKEFILE_LIST))')" && pwd)
SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# PYTHON=python3.12 chooses what .venv is made with, VENV=folder where it is, PORT=8001 where
# `make run` serves, ARGS="-k login" what `make test` runs, ARGS=--quick how `make bench` measures.
export PYTHON VENV PORT ARGS

.PHONY: help run test lint format bench chaos stack-test clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' '$(ROOT)/Makefile' | while IFS='	' read -r name text; do \
		printf '  make %-12s %s\n' "$$name" "$$text"; done

run: ## Start the application; sets up all it needs (PORT=8001 for another port)
	@'$(ROOT)/dev/run'

test: ## Lint, check types and run the tests (ARGS="-k login" for some of them)
	@'$(ROOT)/dev/test'

lint: ## Lint and check types only
	@'$(ROOT)/dev/lint'

format: ## Format the code and repair what ruff can repair
	@'$(ROOT)/dev/format'

bench: ## Measure what logging costs, against others (ARGS="--quick record" for less)
	@'$(ROOT)/dev/bench'

chaos: ## Kill, stop and cut off the log pipeline for long; nothing may be lost (ARGS="--help")
	@'$(ROOT)/dev/chaos'

stack-test: ## Bring up docker-compose.yml on a Docker engine and test it
	@'$(ROOT)/dev/stack-test'

clean: ## Remove .venv and caches; data and logs stay
	@'$(ROOT)/dev/clean'
