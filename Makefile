# Everything a fresh machine needs, one command each; `make` alone lists them.
# What is installed is remembered in stamp files inside .venv, so that a second run does nothing and removing .venv
# removes what is known of it.

PYTHON ?= python3
# FRONT_END=no does without npm: the pages then show pictures made by the server
FRONT_END ?= yes
# e.g. make test PYTEST_ARGS='-k spectrum'
PYTEST_ARGS ?=
# processes that run tests side by side: more than cores, as half of their time is spent waiting
TEST_WORKERS ?= 4
# least percentage of the code that `make coverage` wants run
COVERAGE_FLOOR ?= 90
# e.g. make serve SERVE_ARGS='--port 8081'
SERVE_ARGS ?=

# packages or rooms whose docstrings are held to numpydoc's sections (tests/test_docstrings.py reads this line too)
SECTIONS := provenance reduction

BIN := .venv/bin
# hundreds of servers and scripts are started: where PYTHONDONTWRITEBYTECODE is set each would compile all that it imports
COMPILE = $(BIN)/python -m compileall -q provenance reduction uws_server tests/support
# and each worker would rewrite the assertions of all tests
REWRITE = PYTHONPATH=tests/support $(BIN)/python -m pytest --noconftest -p rewritten
VENDORED := templates/static/vendor/versions.json
FRONT_END_PARTS := $(if $(filter yes,$(FRONT_END)),$(VENDORED))

.NOTPARALLEL:
.PHONY: help demo serve test test-oldest coverage lint docs bench dist system front-end clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*##\(.*\)/make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

demo: .venv/.installed $(FRONT_END_PARTS)  ## simulate an observation, run the spectrum job over HTTP, show its products
	@$(BIN)/uws-server demo

serve: .venv/.installed $(FRONT_END_PARTS)  ## start the server
	@$(BIN)/uws-server serve $(SERVE_ARGS)

test: system .venv/.installed-test $(FRONT_END_PARTS) lint  ## install what the tests need, then run the linters and the tests
	@$(COMPILE)
	@$(REWRITE)
	@$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile $(PYTEST_ARGS)

test-oldest: system .venv-oldest/.installed $(FRONT_END_PARTS)  ## the tests with the oldest versions that setup.cfg promises
	@.venv-oldest/bin/python -m pytest -n $(TEST_WORKERS) --dist loadfile $(PYTEST_ARGS)

coverage: system .venv/.installed-test $(FRONT_END_PARTS)  ## the tests, and how much of the code they run, processes included
	@rm -f .coverage .coverage.*
	@$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile --cov --cov-report=term:skip-covered --cov-report=html \
		--cov-fail-under=$(COVERAGE_FLOOR) $(PYTEST_ARGS)

lint: .venv/.installed-test  ## ruff, pydoclint and mypy
	@$(BIN)/ruff check .
	@$(if $(SECTIONS),$(BIN)/pydoclint $(SECTIONS))
	@$(BIN)/mypy

docs: .venv/.installed-test  ## the pages of the API of provenance and reduction, into build/docs/
	@scripts/build-docs build/docs

bench: .venv/.installed-test  ## run every benchmark of bench/
	@scripts/setup-system test bench
	@set -e; for file in $(sort $(filter-out bench/_%,$(wildcard bench/*.py))); do \
		echo "== $$file"; $(BIN)/python $$file; done

dist: .venv/.installed-test $(FRONT_END_PARTS)  ## build the source archive and the wheel into dist/
	@$(BIN)/python -m build --no-isolation

system:  ## the Debian packages that the tests need, where they may be installed
	@scripts/setup-system test

front-end: $(VENDORED)  ## Aladin Lite, sampjs and CodeMirror, into templates/static/vendor/

clean:  ## remove everything that the commands above made here
	rm -rf .venv .venv-oldest .make build dist node_modules templates/static/vendor *.egg-info
	rm -rf .coverage .coverage.* htmlcov .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.made:
	@scripts/make-venv $(PYTHON) .venv
	@touch $@

.venv/.installed: .venv/.made setup.cfg setup.py pyproject.toml
	@echo "Installing uws-server into .venv (the first time takes a minute)"
	@$(BIN)/python -m pip install --quiet --editable .
	@touch $@

.venv/.installed-test: .venv/.made setup.cfg setup.py pyproject.toml
	@echo "Installing uws-server and what its tests need into .venv (the first time takes a minute)"
	@$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch .venv/.installed $@

.venv-oldest/.installed: setup.cfg setup.py pyproject.toml scripts/oldest_versions.py
	@scripts/make-venv $(PYTHON) .venv-oldest
	@$(PYTHON) scripts/oldest_versions.py >.venv-oldest/oldest.txt
	@echo "Installing the oldest versions into .venv-oldest (the first time takes a minute)"
	@.venv-oldest/bin/python -m pip install --quiet --constraint .venv-oldest/oldest.txt --editable '.[test]'
	@touch $@

$(VENDORED): package.json package-lock.json scripts/vendor_front_end.py | .venv/.made
	@$(BIN)/python scripts/vendor_front_end.py
