# Everything a person or a machine does with telbot. `make` alone lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
MANAGE := $(BIN)/python manage.py
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
# Parts of a check that need one core each, two at a time: each part's output comes whole when it has
# ended, and one that fails fails the whole. (macOS has a make that cannot hold output together.)
TWO_AT_A_TIME = $(MAKE) --no-print-directory -j2 $(if $(filter output-sync,$(.FEATURES)),-Otarget)

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
quick: setup ## Seconds: before each commit
	@$(TWO_AT_A_TIME) unit lint types contracts

.PHONY: migrations-check
migrations-check: setup ## Models and migrations agree
	$(MANAGE) makemigrations --check --dry-run
	$(MANAGE) check --fail-level WARNING

.PHONY: deploy-check
deploy-check: setup ## Django's deployment checklist on the settings of staging and of production
	@for environment in staging production; do \
	  ENVIRONMENT=$$environment SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(32))') \
	  DATABASE_URL=postgresql://nobody@127.0.0.1:1/none REDIS_URL=redis://127.0.0.1:1 \
	  ALLOWED_HOSTS=telbot.example.org PUBLIC_URL=https://telbot.example.org \
	  $(MANAGE) check --deploy --fail-level WARNING || exit 1; done

.PHONY: blueprint
blueprint: setup ## render.yaml against the schema that Render publishes, where it can be reached
	@mkdir -p .local; if curl -sf -m 30 -o .local/render.schema.json https://render.com/schema/render.yaml.json; then \
	  $(BIN)/uv tool run check-jsonschema==0.39.0 --schemafile .local/render.schema.json render.yaml; \
	else echo "blueprint skipped: https://render.com/schema/render.yaml.json could not be read"; fi

.PHONY: audit-deps
audit-deps: setup ## What Render installs against known vulnerabilities; where they cannot be read: skipped
	@$(BIN)/python .ci/audit_deps.py

.PHONY: test
test: setup ## Every test but those in a browser and the faults; three at once, as now and then one waits
	$(BIN)/pytest -q -m "not browser and not faults" -n 3 --dist worksteal

.PHONY: rest
rest: setup ## What `test` has besides the tests of the pure core
	$(BIN)/pytest -q -m "not browser and not faults" -n 3 --dist worksteal \
	  tests/architecture tests/integration tests/e2e

.PHONY: stories
stories: setup ## What is drawn by chance, for thousands of stories: some minutes
	$(BIN)/pytest -q --hypothesis-profile=long \
	  tests/unit/nurture/test_machine.py tests/integration/nurture/test_machine_rows.py \
	  tests/integration/nurture/test_cases.py \
	  tests/integration/nurture/test_blast_radius.py

.PHONY: test-browser
test-browser: setup ## Tests in a real Chromium
	@scripts_chromium="$(CHROMIUM)"; if [ -z "$$scripts_chromium" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; fi
	$(BIN)/pytest -q -m browser -n 2 --dist worksteal $$(grep -rl --include='test_*.py' 'mark\.browser' tests)

.PHONY: faults
faults: setup ## Kills, stops and restarts against a receiver that counts; SHORT=1: under 3 min
	SHORT=$(SHORT) $(BIN)/pytest -q -m faults $(if $(SHORT),-n 4 --dist worksteal,-o log_cli=true --log-cli-level=INFO) \
	  $$(grep -rl --include='test_*.py' 'mark\.faults' tests)

.PHONY: rehearse-rollback
rehearse-rollback: setup ## A deploy, the code back, the schema back, anew; messages flow and are counted; BASE=commit
	@$(BIN)/python -m tests.rehearsals.rollback $(if $(BASE),--base $(BASE),)

.PHONY: rehearse-drills
rehearse-drills: setup ## The disaster drills of the handbook with its commands, messages flowing; ONLY="database redis"
	@$(BIN)/python -m tests.rehearsals.drills $(if $(ONLY),--only $(ONLY),)

.PHONY: bench-attendance
bench-attendance: setup ## Back-fill, a reading without news, one class among 5,000; SHORT=1: under 30 s
	@$(BIN)/python -m tests.bench.attendance $(if $(SHORT),--short,)

.PHONY: bench-engine
bench-engine: setup ## A term under the simulated clock, a backtest, a pass among many; SHORT=1: under 30 s
	@$(BIN)/python -m tests.bench.engine $(if $(SHORT),--short,)

.PHONY: rehearse-import
rehearse-import: setup ## Move 10,000 learners in from another PostgreSQL, twice, then back up and restore; SHORT=1
	@$(BIN)/python -m tests.bench.moving_in $(if $(SHORT),--short,)

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

.PHONY: load
load: setup ## 6,000 learners are written to at once, in a school of 20,000; SHORT=1: under 60 s
	@$(BIN)/python -m tests.bench.load $(if $(SHORT),--short,)

.PHONY: check
check: setup ## What CI runs
	@$(TWO_AT_A_TIME) unit lint types contracts migrations-check deploy-check
	@$(MAKE) --no-print-directory rest
	@$(MAKE) --no-print-directory test-browser
	@$(MAKE) --no-print-directory faults SHORT=1
	@$(TWO_AT_A_TIME) bench-admin bench-attendance bench-engine SHORT=1
	@$(MAKE) --no-print-directory bench-delivery SHORT=1
