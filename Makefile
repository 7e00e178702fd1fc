# Every target works as the first command in a fresh clone: it makes what it needs. `make help` lists them.
VENV := .venv
RUN := $(VENV)/bin/mockupaws
# The first of these that is new enough; `make PYTHON=/path/to/python3.12 up` chooses another.
PYTHON ?= $(or $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done),python3)
UNIT := tests/unit tests/contract tests/accuracy

.PHONY: help up down status clean test test-unit check format bench bench-peers bench-gateway bench-analysis bench-processor bench-sinks bench-growth bench-reads accuracy fuzz-api drill soak mutations leak-hunt lock ready ready-to-test
.DEFAULT_GOAL := help

help: ## Shows this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: ready ## Sets up, starts everything, sends a real sample, prints the bill and the addresses
	@$(RUN) up

down: ready ## Stops everything; data stays
	@$(RUN) down

status: ready ## Shows each process
	@$(RUN) status

clean: ## Stops everything and removes all that was made here: data, logs, environment
	@if [ -x $(RUN) ]; then $(RUN) down; fi
	rm -rf .mockupaws $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# Two files at a time, since most tests wait for servers; the faults after them, as each of those fills the machine.
test: ready-to-test ## Runs all tests against services of their own
	@$(VENV)/bin/pytest -n 2 --dist loadfile tests --ignore=tests/benchmarks --ignore=tests/adversity
	@$(VENV)/bin/pytest tests/adversity

test-unit: ready-to-test ## Runs the tests that need no service
	@$(VENV)/bin/pytest $(UNIT)

check: ready-to-test ## Lint, format, types, import order; changes nothing
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports

format: ready-to-test ## Formats the code and sorts imports
	@$(VENV)/bin/ruff check --fix-only .
	@$(VENV)/bin/ruff format .

bench: ready-to-test ## Measures the whole way: lines/s, latencies, CPU and memory; ARGS=--write-constants feeds capacity
	@$(VENV)/bin/python -m tests.benchmarks.end_to_end $(ARGS)

bench-peers: ready-to-test ## Ours, a naive pipeline and rsyslog where it is installed, in one run; prints the ratios
	@$(VENV)/bin/python -m tests.benchmarks.bench_peers $(ARGS)

bench-gateway: ready-to-test ## Measures the gateway alone, with real Kafka: µs a request and a line, beside its libraries
	@$(VENV)/bin/python -m tests.benchmarks.bench_gateway

bench-analysis: ready-to-test ## Measures the analysis of a line alone: µs by kind of line
	@$(VENV)/bin/python -m tests.benchmarks.bench_analysis

bench-processor: ready-to-test ## Measures the processor stage alone on a real Kafka: CPU by line and record, saturated, paced, idle
	@$(VENV)/bin/python -m tests.benchmarks.bench_processor $(ARGS)

bench-sinks: ready-to-test ## Measures sinks and Postgres alone: CPU µs a line, full speed and at a rate, beside library calls
	@$(VENV)/bin/python -m tests.benchmarks.bench_sinks $(ARGS)

bench-growth: ready-to-test ## Measures what a line costs beside 10⁵ to 10⁷ stored lines (ARGS="both 100000 1000000 10000000 100000000" also 10⁸)
	@$(VENV)/bin/python -m tests.benchmarks.bench_growth $(or $(ARGS),both 100000 1000000 10000000)

bench-reads: ready-to-test ## Measures reads on 10 million lines: pages, searches, figures, exports, many readers (ARGS="--only readers")
	@$(VENV)/bin/python -m tests.benchmarks.bench_reads $(ARGS)

accuracy: ready-to-test ## Precision, recall and F2 by type on the labelled lines; writes docs/accuracy.md
	@$(VENV)/bin/python -m tests.accuracy.measure

drill: ready-to-test ## Every fault under load, each line counted afterwards (30 min); ARGS="--faults F23 --seed 7" chooses
	@$(VENV)/bin/python -m tests.adversity.drill $(ARGS)

soak: ready-to-test ## 20 minutes of load while each process is killed in turn; plot and summary to docs/soak
	@$(VENV)/bin/python -m tests.adversity.soak --write $(ARGS)

fuzz-api: ready-to-test ## 30 minutes of random calls of every route of gateway and API as each role; FUZZ_FACTOR=2 takes one and a half
	@FUZZ_FACTOR=$(or $(FUZZ_FACTOR),40) $(VENV)/bin/pytest tests/integration/http/test_openapi_fuzz.py

mutations: ready-to-test ## Takes each safeguard out of a copy of the code and shows the test that then fails
	@$(VENV)/bin/python -m tests.adversity.mutations $(ARGS)

leak-hunt: ready-to-test ## Every route as every caller with the other tenant's ids, and the database's catalogue; prints the matrix
	@$(VENV)/bin/pytest -q -s tests/integration/isolation

lock: ready-to-test ## Writes the lock files anew from pyproject.toml
	@$(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--upgrade --extra build -o requirements.lock pyproject.toml
	@$(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--extra build --extra test --upgrade -c requirements.lock -o requirements-test.lock pyproject.toml

ready:
	@$(PYTHON) scripts/set_up.py $(VENV) requirements.lock

ready-to-test:
	@$(PYTHON) scripts/set_up.py $(VENV) requirements-test.lock
