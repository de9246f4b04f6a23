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
	@echo; echo "1 of 5: balance a table in which a class is rare, and keep the classifier that is recommended (a minute)"
	$(BIN)/python examples/make_orders.py $(DEMO)/orders.csv
	$(BIN)/gantools augment $(DEMO)/orders.csv --target is_fraud --holdout 0.3 --goal f1 --seed 0 --force \
	    -o $(DEMO)/orders.balanced.csv --classifier $(DEMO)/classifier --report $(DEMO)/orders.html
	@echo; echo "2 of 5: find what does not belong in a table (15 seconds)"
	$(BIN)/python examples/make_orders.py $(DEMO)/checked.csv --mistakes
	$(BIN)/gantools score $(DEMO)/checked.csv --labels spoiled --explain --seed 0 --budget 15s --force \
	    -o $(DEMO)/checked.scored.csv --save $(DEMO)/scorer --report $(DEMO)/checked.html
	@echo; echo "3 of 5: balance a folder of images (40 seconds)"
	$(BIN)/python examples/make_demo_images.py $(DEMO)
	$(BIN)/gantools augment $(DEMO)/digits --seed 0 --budget 40s --force -o $(DEMO)/digits.balanced --report $(DEMO)/digits.html
	@echo; echo "4 of 5: find what does not belong in a folder of images (15 seconds)"
	$(BIN)/gantools score $(DEMO)/fours/new --train $(DEMO)/fours/normal --explain --false-alarms 0.05 --seed 0 --budget 15s --force \
	    -o $(DEMO)/fours.scored.csv --report $(DEMO)/fours.html
	@echo; echo "5 of 5: export the classifier as one ONNX file, and classify new orders with it (20 seconds)"
	$(BIN)/gantools export $(DEMO)/classifier -o $(DEMO)/classifier.onnx --card $(DEMO)/classifier.md --force
	$(BIN)/python examples/make_orders.py $(DEMO)/new.csv --seed 1
	$(BIN)/gantools classify $(DEMO)/new.csv --onnx $(DEMO)/classifier.onnx -o $(DEMO)/new.classified.csv --force
	@echo
	@echo "Open these in a browser: $(DEMO)/orders.html, checked.html, digits.html and fours.html (the reports)"
	@echo "Beside them: orders.balanced.csv (real rows, then synthetic ones), orders.holdout.csv (rows put aside to test on),"
	@echo "             checked.scored.csv (scores, flags and reasons), digits.balanced (the balanced folder),"
	@echo "             fours.scored.csv, fours.scored.maps (where images are odd), scorer (a trained model, as is classifier),"
	@echo "             classifier.onnx (for onnxruntime alone), classifier.md (its model card), new.classified.csv"

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
	$(BIN)/python benchmarks/agreement.py
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/oneclass.py
	$(BIN)/python benchmarks/anomaly.py
	$(BIN)/python benchmarks/groups.py
	$(BIN)/python benchmarks/scale.py
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
