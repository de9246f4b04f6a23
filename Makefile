# Everyday jobs. `make` alone lists them. PYTHON chooses the interpreter of a new environment (3.11 or later).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEMO := demo-output

.PHONY: help install demo test check format bench clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    balance a real table, find what is odd in another, show where the results are"
	@echo "make test    the default tests"
	@echo "make check   format, lint, types and tests: what must pass before a commit"
	@echo "make format  rewrite the code in the house format"
	@echo "make bench   measure the figures of the README (long; see benchmarks/README.md)"
	@echo "make clean   remove what was built here (the environment stays)"

install: $(INSTALLED)

# Installed once; again only when pyproject.toml changes.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "gantools needs Python 3.11 or later: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(INSTALLED)
	@mkdir -p $(DEMO)
	$(BIN)/python examples/make_demo_data.py $(DEMO)/tumours.csv
	$(BIN)/gantools augment $(DEMO)/tumours.csv --target diagnosis --seed 0 --budget 150s --force \
	    -o $(DEMO)/tumours.balanced.csv --save $(DEMO)/generator --report $(DEMO)/report.html
	@echo
	$(BIN)/python examples/make_demo_data.py $(DEMO)/screening.csv --screening
	$(BIN)/gantools score $(DEMO)/screening.csv --labels malignant --false-alarms 0.05 --explain --seed 0 --force \
	    -o $(DEMO)/screening.scored.csv --save $(DEMO)/scorer --report $(DEMO)/scores.html
	@echo
	@echo "Results: $(DEMO)/tumours.balanced.csv (the balanced table), $(DEMO)/report.html (open it in a browser),"
	@echo "         $(DEMO)/generator (make more rows: $(BIN)/gantools generate $(DEMO)/generator -n 100)"
	@echo "         $(DEMO)/screening.scored.csv (scores, verdicts and reasons), $(DEMO)/scores.html, $(DEMO)/scorer"

test: $(INSTALLED)
	$(BIN)/python -m pytest

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(INSTALLED)
	$(BIN)/python benchmarks/balance.py
	$(BIN)/python benchmarks/tstr.py
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/oneclass.py
	$(BIN)/python benchmarks/anomaly.py

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis $(DEMO)
