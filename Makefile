# Two commands do all the set-up: `make demo` and `make test`. Each needs Python 3.10 or later and git.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint install install-test browser clean

demo: $(VENV)/.app  ## A Hub on loopback, a crawl, a trace, then the app on port 7860
	$(BIN)/hub-lineage demo

test: $(VENV)/.test browser  ## Everything the tests need, then lint, types, layers and tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.app: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing hub-lineage with its app into $(VENV) ..."
	$(BIN)/python -m pip install --quiet --progress-bar off -c constraints.txt -e '.[app]'
	@touch $@

$(VENV)/.test: $(VENV)/.app
	@echo "Installing what the tests need into $(VENV) ..."
	$(BIN)/python -m pip install --quiet --progress-bar off -c constraints.txt --group test
	@touch $@

browser:  ## Debian's Chromium, for the tests of the app
	@command -v chromium >/dev/null || { \
	  echo "Installing Chromium ..."; \
	  SUDO=; [ "$$(id -u)" = 0 ] || SUDO=sudo; \
	  $$SUDO apt-get update -qq && $$SUDO env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; }
