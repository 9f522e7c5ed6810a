# Everything runs in .venv, made from nothing when needed: python3 (3.11 or later) with venv and pip is all it takes.
# A stamp per extra remembers what is installed, so that nothing is fetched again until the requirements change.
PYTHON ?= python3
VENV := .venv
SCRIPTS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN := $(VENV)/$(SCRIPTS)
VERSIONS := tests/constraints/tested.txt
REQUIREMENTS := pyproject.toml constraints.txt $(VERSIONS) tests/constraints/tools.txt
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(VERSIONS)
# As a path, not as a finder: Python takes a folder named sklstm where it is started, this one for instance, for the
# package before it asks a finder.
EDITABLE = $(INSTALL) --config-settings editable_mode=compat --editable

.PHONY: help quickstart test test-versions check-adapters lint docs format bench bench-quick bench-pages bench-peers regenerate package clean

help:
	@echo "make quickstart   set up and show what the package does (about a minute)"
	@echo "make test         set up and run the tests"
	@echo "make test-versions  the tests with the lowest and with the newest versions of everything (sets up .venv-lowest, .venv-newest)"
	@echo "make check-adapters  set up aeon and sktime beside the package and run their checks of our adapters"
	@echo "make lint         set up and check style, types, import directions and sentences"
	@echo "make docs         set up, check the pages of benchmarks, run the gallery, build the site in docs/_build/html and"
	@echo "                  check its links (a few minutes)"
	@echo "make format       rewrite the sources in the project's style"
	@echo "make bench        measure times and memory, write their pages and print what was measured beside its bar (about"
	@echo "                  an hour and a half, on an idle machine)"
	@echo "make bench-quick  a smoke run of the same (about two minutes; nothing is recorded)"
	@echo "make bench-pages  write all pages of docs/benchmarks and what quotes them again from what is recorded"
	@echo "make regenerate   measure every number in the documentation again (hours; its list: python -m benchmarks.site.regenerate --list)"
	@echo "make bench-peers  set up the other packages that make bench compares with"
	@echo "make package      build what is uploaded in dist/ and check it as the registry and pyroma do"
	@echo "make clean        remove all environments, dist/ and what the tools left behind"

# The stamp, not the interpreter: a set-up that was interrupted can leave an interpreter without pip. Making the
# environment again completes it and removes nothing.
$(VENV)/.has-python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed; set PYTHON=...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip --version >/dev/null
	@touch $@

# The registry's torch for Linux brings gigabytes of CUDA libraries; its own index has builds for CPUs. Where that cannot
# be reached, pip takes what it finds.
$(VENV)/.has-torch: constraints.txt | $(VENV)/.has-python
	$(INSTALL) --no-deps --retries 1 --extra-index-url https://download.pytorch.org/whl/cpu torch
	@touch $@

$(VENV)/.installed-plot: $(REQUIREMENTS) $(VENV)/.has-torch
	@echo "Installing sklstm, matplotlib and pandas into $(VENV) ..."
	$(EDITABLE) '.[plot,tables]'
	@touch $@

$(VENV)/.installed-dev: $(REQUIREMENTS) $(VENV)/.has-torch
	@echo "Installing sklstm and the development tools into $(VENV) ..."
	$(EDITABLE) '.[dev]'
	@touch $@

quickstart: $(VENV)/.installed-plot
	$(BIN)/python examples/quickstart.py

# One process a core, each with one thread: threads of several processes would fight for the cores.
test: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto

test-versions:
	.ci/versions lowest
	.ci/versions newest

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/style.py

# The pages of benchmarks are compared with their records. Every example of the gallery is run, every warning is an error,
# nothing is fetched; then the links of the finished pages and of those at the top are followed, and the notebooks of the
# gallery are checked. Addresses elsewhere are left alone.
docs: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 MPLBACKEND=agg $(BIN)/python -m benchmarks.site.check
	rm -rf docs/gallery docs/_build docs/sg_execution_times.rst
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html
	$(BIN)/python docs/check_links.py docs/_build/html README.md CONTRIBUTING.md CHANGELOG.md
	$(BIN)/python docs/check_notebooks.py docs/_build/html

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

# Their limits on pandas, numpy and scikit-learn exclude the versions of the tests; torch is the same.
PEERS := .venv-peers
bench-peers: $(PEERS)/.installed

$(PEERS)/.installed: benchmarks/peers.txt constraints.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/$(SCRIPTS)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--requirement benchmarks/peers.txt
	@touch $@

# What is uploaded: of what is committed, and nothing else.
PACKAGING := .venv-package
package: $(PACKAGING)/.installed
	rm -rf dist $(PACKAGING)/sources
	mkdir $(PACKAGING)/sources
	git archive HEAD | tar --extract --directory $(PACKAGING)/sources
	$(PACKAGING)/$(SCRIPTS)/python -m build --quiet --outdir dist $(PACKAGING)/sources
	$(PACKAGING)/$(SCRIPTS)/twine check --strict dist/*
	$(PACKAGING)/$(SCRIPTS)/pyroma --min 10 dist/*.tar.gz

$(PACKAGING)/.installed:
	$(PYTHON) -m venv $(PACKAGING)
	$(PACKAGING)/$(SCRIPTS)/python -m pip install --quiet --disable-pip-version-check build pyroma twine
	@touch $@

# CI runs this where it may fetch two more packages. An environment of its own, in which aeon and sktime choose the
# versions of pandas, numpy and scikit-learn; torch is the same.
ADAPTERS := .venv-adapters
check-adapters: $(ADAPTERS)/.installed
	OMP_NUM_THREADS=1 $(ADAPTERS)/$(SCRIPTS)/python -m pytest -k "adapters or dotted_names" \
		tests/adapters tests/test_docstrings.py tests/test_pages.py tests/test_named_files.py sklstm/adapters

$(ADAPTERS)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(ADAPTERS)
	$(ADAPTERS)/$(SCRIPTS)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--config-settings editable_mode=compat --editable '.[aeon,sktime]' pytest hypothesis numpydoc sybil
	@touch $@

clean:
	rm -rf .venv* build dist docs/_build docs/api docs/gallery *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache quickstart_output
