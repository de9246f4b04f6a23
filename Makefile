# Everyday jobs. `make` alone lists them. PYTHON chooses the interpreter of a new environment (3.11 or later).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEMO := demo-output

.PHONY: help install browser demo test check format bench clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    balance a table and a folder of images, find what is odd, show where the results are"
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
	@echo; echo "1 of 5: balance a table in which a class is rare (a minute)"
	$(BIN)/python examples/make_demo_data.py $(DEMO)/tumours.csv
	$(BIN)/gantools augment $(DEMO)/tumours.csv --target diagnosis --seed 0 --budget 60s --force \
	    -o $(DEMO)/tumours.balanced.csv --save $(DEMO)/generator --report $(DEMO)/report.html
	@echo; echo "2 of 5: find what does not belong in a table (half a minute)"
	$(BIN)/python examples/make_demo_data.py $(DEMO)/screening.csv --screening
	$(BIN)/gantools score $(DEMO)/screening.csv --labels malignant --false-alarms 0.05 --explain --seed 0 --budget 30s --force \
	    -o $(DEMO)/screening.scored.csv --save $(DEMO)/scorer --report $(DEMO)/scores.html
	@echo; echo "3 of 5: balance a folder of images (a minute)"
	$(BIN)/python examples/make_demo_images.py $(DEMO)
	$(BIN)/gantools augment $(DEMO)/digits --seed 0 --budget 60s --force -o $(DEMO)/digits.balanced --report $(DEMO)/digits.html
	@echo; echo "4 of 5: find what does not belong in a folder of images (half a minute)"
	$(BIN)/gantools score $(DEMO)/fours/new --train $(DEMO)/fours/normal --explain --false-alarms 0.05 --seed 0 --budget 30s --force \
	    -o $(DEMO)/fours.scored.csv --report $(DEMO)/fours.html
	@echo; echo "5 of 5: export the table's scorer as one ONNX file"
	$(BIN)/gantools export $(DEMO)/scorer -o $(DEMO)/scorer.onnx --card $(DEMO)/scorer.md --force
	@echo
	@echo "Results: $(DEMO)/tumours.balanced.csv (the balanced table), $(DEMO)/report.html (open it in a browser),"
	@echo "         $(DEMO)/generator (make more rows: $(BIN)/gantools generate $(DEMO)/generator -n 100)"
	@echo "         $(DEMO)/screening.scored.csv (scores, verdicts and reasons), $(DEMO)/scores.html, $(DEMO)/scorer"
	@echo "         $(DEMO)/scorer.onnx (the scorer for onnxruntime alone), $(DEMO)/scorer.md (its model card)"
	@echo "         $(DEMO)/digits.balanced (the balanced folder of images), $(DEMO)/digits.html"
	@echo "         $(DEMO)/fours.scored.csv, $(DEMO)/fours.scored.maps (where images are odd), $(DEMO)/fours.html"

# Reports are also opened in Chromium. Where it is missing and may be installed it is; elsewhere those tests are skipped.
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || { \
	    test "$$(id -u)" = 0 && command -v apt-get >/dev/null && echo "Installing Chromium to test reports in" && \
	    apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium >/dev/null 2>&1; } || \
	    echo "There is no Chromium: tests of reports in a browser are skipped"

test: $(INSTALLED) browser
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
	$(BIN)/python -m pip install --quiet 'xgboost>=2'
	$(BIN)/python benchmarks/fidelity.py
	$(BIN)/python benchmarks/fidelity.py --fill --tables adult
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/oneclass.py
	$(BIN)/python benchmarks/anomaly.py
	$(BIN)/python benchmarks/export.py
	$(BIN)/python benchmarks/images/generation.py longtail
	$(BIN)/python benchmarks/images/generation.py conditional --seconds 1800
	$(BIN)/python benchmarks/images/generation.py modes --seconds 3600
	$(BIN)/python benchmarks/images/generation.py speed
	$(BIN)/python benchmarks/images/captions.py
	$(BIN)/python benchmarks/images/oneclass.py mnist
	$(BIN)/python benchmarks/images/oneclass.py tiles
	$(BIN)/python benchmarks/images/translation.py denoise --seconds 3600 --precision bf16
	for part in superres inpaint derain colour paired unpaired; do \
	    $(BIN)/python benchmarks/images/translation.py $$part --seconds 900 --precision bf16 || exit 1; done
	for part in parity photo speed; do $(BIN)/python benchmarks/images/translation.py $$part || exit 1; done

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis $(DEMO)
