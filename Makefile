# Every target sets itself up: a .venv with the pinned dependencies, and warmup in it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
# Tests wait for servers and processes more than they compute; a file stays in one process, with what it set up.
PROCESSES ?= 2

.PHONY: help demo test lint unit lab properties bench scale crossval fuzz faults torture sabotage audit sbom mutate lock clean

help:  ## what there is to make
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml tests/requirements.txt
	@command -v $(PYTHON) >/dev/null || { echo "error: python3 is missing; apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: warmup needs Python 3.11 or newer; make PYTHON=python3.11 …"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "error: venv is missing; apt-get install python3-venv"; exit 1; }
	@echo "setting up $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/requirements.txt 2> >(grep -v '^WARNING: Location' >&2)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . 2> >(grep -v '^WARNING: Location' >&2)
	@touch $@

demo: $(STAMP)  ## 21 days of warming against the embedded sandbox, in about two minutes
	@$(BIN)/warmup demo

test: $(STAMP)  ## the gate and all tests; as root it installs the mail lab's Debian packages
	@bash tests/lab/packages.sh
	@$(MAKE) --no-print-directory lint
	@HYPOTHESIS_PROFILE=$${HYPOTHESIS_PROFILE:-ci} $(BIN)/pytest --numprocesses $(PROCESSES) --dist loadfile

lint: $(STAMP)  ## ruff, mypy, the floors of the house
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

unit: $(STAMP)  ## the tests that need no Debian packages
	@$(BIN)/pytest -m "not lab"

lab: $(STAMP)  ## the tests against real Postfix, Dovecot and Rspamd
	@bash tests/lab/packages.sh
	@$(BIN)/pytest -m lab

properties: $(STAMP)  ## the properties of the core with 10,000 examples each
	@HYPOTHESIS_PROFILE=properties $(BIN)/pytest tests/policy tests/mail

bench: $(STAMP)  ## speed and memory, and the table of ramps and controllers (MAILBOXES=200 HINDSIGHT=1: all of it)
	@$(BIN)/python -m tests.bench
	@$(BIN)/python -m tests.bench.send
	@$(BIN)/python -m tests.bench.observe
	@$(BIN)/python -m tests.bench.growth
	@$(BIN)/python -m tests.bench.lag
	@$(BIN)/python -m tests.bench.idle
	@$(BIN)/python -m tests.bench.planning
	@$(BIN)/python -m tests.bench.history
	@$(BIN)/python -m tests.bench.cluster
	@$(BIN)/python -m tests.bench.table

scale: $(STAMP)  ## a model of what a mailbox costs, held against a day of two thousand: 45 minutes
	@$(BIN)/python -m tests.bench.scale

crossval: $(STAMP)  ## how well replies and reports are read, also without the rules of the server that is asked
	@$(BIN)/python -m tests.crossval

SECONDS_EACH := $(if $(filter environment command line,$(origin SECONDS)),$(SECONDS),300)
fuzz: $(STAMP)  ## coverage-guided fuzzing of every parser, five minutes each; SECONDS=60 for less
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/fuzz/requirements.txt 2> >(grep -v '^WARNING: Location' >&2)
	@$(BIN)/python -m tests.fuzz $(SECONDS_EACH)

faults: $(STAMP)  ## every fault a provider can have, from real servers, as a table; as root, two to six minutes
	@bash tests/lab/packages.sh
	@$(BIN)/pytest -q tests/lab/test_faults.py

torture: $(STAMP)  ## every promise attacked in full, as a table of tries, losses, doubles and breaches; SCENARIO=kill for one
	@$(BIN)/python -m tests.torture $(SCENARIO)
	@if [ -z "$(SCENARIO)" ]; then $(BIN)/python -m tests.torture --on postgres && $(BIN)/python -m tests.torture --on cluster; fi

sabotage: $(STAMP)  ## every safeguard taken out once, in a copy: a table of what its scenario counted; PATCH=walls_removed for one
	@$(BIN)/python -m tests.sabotage $(PATCH)

SUPPLY := $(VENV)/.supply
$(SUPPLY): $(STAMP) tests/supply/requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/supply/requirements.txt 2> >(grep -v '^WARNING: Location' >&2)
	@touch $@

audit: $(SUPPLY)  ## ask the index for known vulnerabilities of every pinned dependency; one it cannot be asked of fails
	@$(BIN)/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r deploy/requirements.txt

sbom: $(SUPPLY)  ## what the program is made of, as CycloneDX in build/sbom.json
	@mkdir -p build
	@$(BIN)/python -W ignore -m cyclonedx_py requirements deploy/requirements.txt --pyproject pyproject.toml --output-reproducible --of JSON -o build/sbom.json
	@echo build/sbom.json

mutate: $(SUPPLY)  ## how many small errors in ledger, quota, retry and send the unit tests notice; MODULE=policy/retry for one
	@nice $(BIN)/python -m tests.mutation $(MODULE)

lock: $(STAMP)  ## pin the dependencies again
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 pyproject.toml -o deploy/requirements.txt
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 pyproject.toml --group test -o tests/requirements.txt
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 tests/fuzz/requirements.in -o tests/fuzz/requirements.txt
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 tests/supply/requirements.in -o tests/supply/requirements.txt

clean:  ## remove what make made
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
