SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
PY := $(VENV)/bin/python
PYTHON ?= $(shell for p in python3.11 python3.12 python3 python; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null && echo $$p && break; done)
PACKAGES := $(VENV)/.packages
ARGS ?=

.PHONY: help setup demo test test-unit test-integration test-e2e test-faults soak lint format bench kappa query up down wipe clean distclean lock \
	versions rollback rollforward rebuild-speed recompute backfill candidate

help: ## show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(PACKAGES) ## fetch Python packages and jars, archive Spark's classes (only what is missing; APPLICATION=flights: its data)
	@$(PY) -m local.fetch
	@$(PY) -m local.class_training
	@$(if $(filter flights,$(APPLICATION)),$(PY) -m demo.flights_data)

$(PACKAGES): requirements-dev.lock
	@command -v java >/dev/null || { echo "Java is missing: install a JDK or JRE 17 and put java on PATH"; exit 1; }
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or 3.12 with venv on PATH: install one, or make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "setup: Python packages into $(VENV) (two to three minutes the first time)"
	@test -x $(PY) && $(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(PY) -m pip install --disable-pip-version-check --require-hashes --progress-bar on -r requirements-dev.lock \
		| grep --line-buffered -E '^(Collecting|Downloading|Building|Installing|Successfully)' || exit $${PIPESTATUS[0]}
	@$(PY) -c 'import pathlib, sysconfig; pathlib.Path(sysconfig.get_path("purelib"), "lambda_platform.pth").write_text(f"{pathlib.Path.cwd()}\n")'
	@touch $@

demo: setup ## real events through all three layers, checked against the truth (KEEP=1 leaves it running, APPLICATION=flights)
	@$(PY) -m demo $(APPLICATION) $(ARGS)

TESTERS ?= 2
SIDE_BY_SIDE = -n $(TESTERS) --dist loadfile

test: setup ## every test but the fault suite, in TESTERS=2 processes
	@$(PY) -m pytest $(SIDE_BY_SIDE) $(ARGS)

test-unit: setup ## tests that start no JVM, under a minute
	@$(PY) -m pytest tests/unit $(SIDE_BY_SIDE) $(ARGS)

test-integration: setup ## tests with a real Spark session, Kafka and Redis, one of each for each process
	@$(PY) -m pytest tests/integration $(SIDE_BY_SIDE) $(ARGS)

test-e2e: setup ## the whole platform
	@$(PY) -m pytest tests/e2e $(ARGS)

test-faults: setup ## the fault suite: processes and servers die while an auditor asks, a quarter of an hour
	@$(PY) -m pytest tests/e2e/test_faults.py -m 'faults and not soak' $(ARGS)

SCHEDULES ?= 20000
soak: setup ## hours of it: SCHEDULES=20000 of the model, bad records, every fault with SIGKILL (ARGS=--no-faults without)
	@$(PY) -m tests.soak --schedules $(SCHEDULES) $(ARGS)

lint: $(PACKAGES) ## check style, types and imports; edits nothing
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports

format: $(PACKAGES) ## mend style and format
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

bench: setup ## print the figures of the benchmark
	@$(PY) -m bench $(ARGS)

kappa: setup ## the platform with and without its batch layer on the same events: answers, cost, a changed definition
	@$(PY) -m bench.kappa $(ARGS)

query: $(PACKAGES) ## ask from the terminal: make query ARGS="edits_by_country countryIsoCode=IT every=hour"
	@$(PY) -m client.query $(ARGS)

up: setup ## run the whole platform in the foreground; Ctrl-C stops all of it
	@$(PY) -m local.up $(ARGS)

down: $(PACKAGES) ## stop what `make up` runs
	@$(PY) -m local.down

rebuild-speed: $(PACKAGES) ## build the speed state anew from the boundary, while the old one answers
	@$(PY) -m speed_layer.rebuild $(ARGS)

recompute: setup ## one batch run: make recompute ARGS=--incremental, or all anew without
	@$(PY) -m local.spark_submit batch_layer/job.py $(ARGS)

backfill: setup ## make a range of time anew: make backfill FROM=2015-09-12 TO=2015-09-13 [VIEW=edits_by_page]
	@test -n "$(FROM)" -a -n "$(TO)" || { echo "Say from when to when: make backfill FROM=2015-09-12 TO=2015-09-13"; exit 1; }
	@$(PY) -m local.spark_submit batch_layer/job.py --backfill $(FROM) $(TO) $(if $(VIEW),--view $(VIEW)) $(ARGS)

candidate: setup ## changed definitions beside the old: make candidate DO=build|diff|promote|drop|list APPLICATION=module
	@test -n "$(DO)" || { echo "Say what to do: make candidate DO=build (or diff, promote, drop, list) APPLICATION=module"; exit 1; }
	@$(if $(APPLICATION),LAMBDA_APPLICATION=$(APPLICATION)) $(PY) -m local.spark_submit batch_layer/candidate.py $(DO) $(ARGS)

versions: $(PACKAGES) ## list the published versions of the batch views
	@$(PY) -m batch_layer.versions list $(ARGS)

rollback: $(PACKAGES) ## move readers to an older version: make rollback VERSION=3
	@test -n "$(VERSION)" || { echo "Say which version: make rollback VERSION=3 (make versions lists them)"; exit 1; }
	@$(PY) -m batch_layer.versions rollback $(VERSION) $(ARGS)

rollforward: $(PACKAGES) ## undo roll-backs: to the newest version, or VERSION=4
	@$(PY) -m batch_layer.versions rollforward $(VERSION) $(ARGS)

lock: ## renew the lock files from requirements*.in (needs uv)
	@for name in requirements-dev requirements; do \
		uv pip compile $$name.in --universal --python-version 3.11 --generate-hashes --no-header \
			--no-emit-index-url --no-emit-find-links --quiet -o $$name.lock $$([ $$name = requirements ] && echo -c requirements-dev.lock); \
	done

wipe: down ## stop the platform and delete its data folder ./data, master dataset and keys included
	@rm -rf data

clean: ## remove the caches of tools; data and what setup fetched stay
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean ## remove also what setup fetched
	@rm -rf .venv .cache
