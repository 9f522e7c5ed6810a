# Everything runs in .venv, made from nothing when needed: python3 (3.11 or later) with venv and pip is all it takes.
# A stamp per extra remembers what is installed, so that nothing is fetched again until the requirements change.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
REQUIREMENTS := pyproject.toml constraints.txt
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# As a path, not as a finder: Python takes a folder named sklstm where it is started, this one for instance, for the
# package before it asks a finder.
EDITABLE = $(INSTALL) --config-settings editable_mode=compat --editable

.PHONY: help quickstart test lint docs format bench bench-quick bench-pages bench-peers regenerate clean

help:
	@echo "make quickstart   set up and show what the package does (about a minute)"
	@echo "make test         set up and run the tests"
	@echo "make lint         set up and check style, types and import directions"
	@echo "make docs         set up, check the pages of benchmarks, run the gallery, build the site in docs/_build/html and"
	@echo "                  check its links (a few minutes)"
	@echo "make format       rewrite the sources in the project's style"
	@echo "make bench        measure times and memory, write their pages and print what was measured beside its bar (about"
	@echo "                  an hour and a half, on an idle machine)"
	@echo "make bench-quick  a smoke run of the same (about two minutes; nothing is recorded)"
	@echo "make bench-pages  write all pages of docs/benchmarks and what quotes them again from what is recorded"
	@echo "make regenerate   measure every number in the documentation again (hours; its list: python -m benchmarks.site.regenerate --list)"
	@echo "make bench-peers  set up the other packages that make bench compares with"
	@echo "make clean        remove .venv, .venv-peers and what the tools left behind"

# The stamp, not the interpreter: a set-up that was interrupted can leave an interpreter without pip. Making the
# environment again completes it and removes nothing.
$(VENV)/.has-python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed; set PYTHON=...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip --version >/dev/null
	@touch $@

$(VENV)/.installed-plot: $(REQUIREMENTS) | $(VENV)/.has-python
	@echo "Installing sklstm, matplotlib and pandas into $(VENV) ..."
	$(EDITABLE) '.[plot,tables]'
	@touch $@

$(VENV)/.installed-dev: $(REQUIREMENTS) | $(VENV)/.has-python
	@echo "Installing sklstm and the development tools into $(VENV) ..."
	$(EDITABLE) '.[dev]'
	@touch $@

quickstart: $(VENV)/.installed-plot
	$(BIN)/python examples/quickstart.py

# One process a core, each with one thread: threads of several processes would fight for the cores.
test: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The pages of benchmarks are compared with their records. Every example of the gallery is run, every warning is an error,
# nothing is fetched; then the links of the finished pages and of those at the top are followed. Addresses elsewhere are
# left alone.
docs: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 MPLBACKEND=agg $(BIN)/python -m benchmarks.site.check
	rm -rf docs/gallery docs/_build docs/sg_execution_times.rst
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html
	$(BIN)/python docs/check_links.py docs/_build/html README.md CONTRIBUTING.md CHANGELOG.md

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The scripts set the number of threads themselves.
BENCH = env -u OMP_NUM_THREADS $(BIN)/python -m benchmarks.site

bench: $(VENV)/.installed-dev
	$(BENCH).regenerate --only speed

bench-quick: $(VENV)/.installed-dev
	$(BENCH).regenerate --only speed --quick

bench-pages: $(VENV)/.installed-dev
	$(BENCH).pages
	$(BENCH).quoted --write

# All that is measured anywhere in the documentation; IMDB=path of the archive adds what needs the reviews.
regenerate: $(VENV)/.installed-dev
	$(BENCH).regenerate $(if $(IMDB),--imdb $(IMDB))

# Their limits on pandas, numpy and scikit-learn exclude the versions of constraints.txt; torch is the same.
PEERS := .venv-peers
bench-peers: $(PEERS)/.installed

$(PEERS)/.installed: benchmarks/peers.txt constraints.txt
	$(PYTHON) -m venv $(PEERS)
	grep '^torch==' constraints.txt > $(PEERS)/torch.txt
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(PEERS)/torch.txt \
		--requirement benchmarks/peers.txt
	@touch $@

clean:
	rm -rf $(VENV) $(PEERS) build docs/_build docs/api docs/gallery *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache quickstart_output
