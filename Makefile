# Everything a person or a machine does with telbot. `make` alone lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
MANAGE := $(BIN)/python manage.py
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

##: Set-up

.venv/.ready: requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit("telbot needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

.PHONY: setup
setup: .venv/.ready ## Make the virtual environment (again only when requirements change)

.PHONY: lock
lock: setup ## Compile requirements/*.in into hash-locked *.txt
	cd requirements && for name in base prod dev peers; do \
	  ../$(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-strip-extras --no-header \
	    --no-emit-index-url $$name.in -o $$name.txt || exit 1; done

.PHONY: env-example
env-example: setup ## Write .env.example from the table of settings
	$(BIN)/python -m config.env > .env.example

##: Run

.PHONY: demo
demo: setup ## Play a cohort from Meet records to Telegram messages; ONCE=1 prints JSON and ends, RESET=1 begins anew
	@$(MANAGE) demo $(if $(ONCE),--once,) $(if $(RESET),--reset,)

.PHONY: stop
stop: ## End everything that runs under LOCAL_DIR
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m config.stop; fi

.PHONY: screenshots
screenshots: setup ## Take the pictures of docs/staff-guide.md anew, in a world of their own; ONLY="editor class"
	@$(BIN)/python -m tests.browser.shots $(ONLY)

##: Check

.PHONY: format
format: setup ## Format the code
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .

.PHONY: lint
lint: setup ## Format and lint rules
	$(BIN)/ruff format --check . && $(BIN)/ruff check .

.PHONY: types
types: setup ## mypy, strict
	$(BIN)/mypy config attendance delivery nurture tests

.PHONY: contracts
contracts: setup ## The import boundaries of docs/architecture.md
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

.PHONY: unit
unit: setup ## Tests of the pure core, without a database, with full branch coverage
	$(BIN)/pytest tests/unit -q --no-header \
	  --cov=attendance/domain --cov=delivery/domain --cov=nurture/domain --cov-branch \
	  --cov-report=term --cov-fail-under=100

.PHONY: quick
quick: lint types contracts unit ## Seconds: before each commit

.PHONY: migrations-check
migrations-check: setup ## Models and migrations agree
	$(MANAGE) makemigrations --check --dry-run
	$(MANAGE) check --fail-level WARNING

.PHONY: test
test: setup ## Every test but those in a browser and the faults, on two cores
	$(BIN)/pytest -q -m "not browser and not faults" -n 2 --dist worksteal

.PHONY: rest
rest: setup ## What `test` has besides the tests of the pure core
	$(BIN)/pytest -q -m "not browser and not faults" -n 2 --dist worksteal \
	  tests/architecture tests/integration tests/e2e

.PHONY: stories
stories: setup ## The two state machines of journeys for thousands of stories: some minutes
	$(BIN)/pytest -q --hypothesis-profile=long \
	  tests/unit/nurture/test_machine.py tests/integration/nurture/test_machine_rows.py

.PHONY: test-browser
test-browser: setup ## Tests in a real Chromium
	@scripts_chromium="$(CHROMIUM)"; if [ -z "$$scripts_chromium" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; fi
	$(BIN)/pytest -q -m browser -n 2 --dist worksteal

.PHONY: faults
faults: setup ## Kills, stops and restarts against a receiver that counts; SHORT=1: under 3 min
	SHORT=$(SHORT) $(BIN)/pytest -q -m faults $(if $(SHORT),-n 2 --dist worksteal,-o log_cli=true --log-cli-level=INFO)

.PHONY: bench-attendance
bench-attendance: setup ## Back-fill, a reading without news, one class among 5,000; SHORT=1: under 30 s
	@$(BIN)/python -m tests.bench.attendance $(if $(SHORT),--short,)

.PHONY: bench-engine
bench-engine: setup ## A term under the simulated clock, a backtest, a pass among many; SHORT=1: under 30 s
	@$(BIN)/python -m tests.bench.engine $(if $(SHORT),--short,)

.PHONY: bench-admin
bench-admin: setup ## Every page of the admin among 1,000,000 deliveries, beside 1,000; SHORT=1: under 30 s
	@$(BIN)/python -m tests.bench.admin $(if $(SHORT),--short,)

.PHONY: bench-archive
bench-archive: setup ## A month of the archive dropped, beside DELETE of as many; SHORT=1: under 30 s
	@$(BIN)/python -m tests.bench.archive $(if $(SHORT),--short,)

.venv-peers/.ready: requirements/peers.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --require-hashes -r requirements/peers.txt
	@touch $@

.PHONY: bench-delivery
bench-delivery: setup $(if $(SHORT),,.venv-peers/.ready) ## telbot beside others, how late, how soon; SHORT=1: under 40 s; PLOT=file.svg
	@$(BIN)/python -m tests.bench.delivery $(if $(SHORT),--short,) $(if $(PLOT),--plot $(PLOT),)

.PHONY: check
check: quick migrations-check rest test-browser ## What CI runs
	@$(MAKE) --no-print-directory faults SHORT=1
	@$(MAKE) --no-print-directory bench-attendance SHORT=1
	@$(MAKE) --no-print-directory bench-engine SHORT=1
	@$(MAKE) --no-print-directory bench-admin SHORT=1
	@$(MAKE) --no-print-directory bench-delivery SHORT=1
