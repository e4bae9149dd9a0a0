# Three commands matter: `make demo`, `make quick` and `make test`.  Each sets up what it needs, in the folder $(VENV).
PYTHON ?= python3
VENV ?= .venv

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

# What the extension is built from, and what a copy of the package consists of.
NATIVE := pyproject.toml CMakeLists.txt $(shell find native -type f)
CXX_SOURCES := $(shell find native -name '*.cpp' -o -name '*.hpp' -o -name '*.inl')
SOURCES := $(NATIVE) $(shell find src -type f -name '*.py*' -not -name '*.pyc')

# Files that say what $(VENV) holds: a copy of the package (for users), or a link to src (for development).
MADE := $(VENV)/.made
QUICK := $(VENV)/.quick
TOOLS := $(VENV)/.tools
COPIED := $(VENV)/.copied
LINKED := $(VENV)/.linked
# Either of them can run the demo.
INSTALLED := $(if $(wildcard $(LINKED)),$(LINKED),$(COPIED))

.PHONY: help demo quick test test-all lint format bench sanitize soak clean
# Two runs of pip at once would get in each other's way.
.NOTPARALLEL:

help:
	@echo "make demo      set up, and compute floors of scikit-learn's digits"
	@echo "make quick     set up without large packages, and run the tests that need none (a minute and a half)"
	@echo "make test      set up, and run all checks and tests (a few minutes)"
	@echo "make test-all  the same with the long tests"
	@echo "make lint      ruff, mypy, clang-format, the rules between modules, and CITATION.cff"
	@echo "make format    let ruff and clang-format format the code"
	@echo "make bench     run the benchmarks (an hour), and write benchmarks/results/"
	@echo "make sanitize  random graphs through the solver under ASan and UBSan (COUNT=1000000 for more)"
	@echo "make soak      random questions against independent answers (SECONDS=600, SEED=1 for other ones)"
	@echo "make clean     remove everything that these commands made"

$(MADE):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(COPIED): $(MADE) $(SOURCES) README.md
	$(PIP) install .
	@touch $@

$(QUICK): $(MADE) requirements/quick.txt
	$(PIP) install -r requirements/quick.txt
	@touch $@

$(TOOLS): $(QUICK) requirements/dev.txt
	$(PIP) install -r requirements/dev.txt
	@touch $@

$(LINKED): $(QUICK) $(NATIVE)
	$(PIP) install --no-build-isolation --editable .
	@rm -f $(COPIED)
	@touch $@

# Processes that run the tests.
JOBS ?= auto

DIGITS := digits --classes 3 8

demo: $(INSTALLED)
	@mkdir -p demo
	$(BIN)/lossfloor floor $(DIGITS) --l2 1 --save demo/floor.npz
	$(BIN)/lossfloor verify demo/floor.npz --data $(DIGITS)
	$(BIN)/lossfloor curve $(DIGITS) --l2 --eps-to 2 --points 11 --at cross_entropy=0.1 --plot demo/curve.png
	@echo "The picture of the curve is demo/curve.png"

# Tests that take long or need a large package are left out: tests/repository/quick.toml names them.
quick: $(LINKED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -q --quick -n $(JOBS)

test: lint
	$(BIN)/python -m pytest -q -m "not slow"

test-all: lint
	$(BIN)/python -m pytest -q

lint: $(TOOLS) $(LINKED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/cffconvert --validate
	$(BIN)/clang-format --dry-run --Werror $(CXX_SOURCES)

format: $(TOOLS)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CXX_SOURCES)

bench: $(LINKED)
	$(PIP) install -r requirements/bench.txt
	$(BIN)/python benchmarks/run.py

# Random weighted graphs, those of the seeds from FIRST on.
COUNT ?= 20000
FIRST ?= 0
SANITIZED := build/sanitize

sanitize: $(QUICK)
	$(BIN)/cmake -S . -B $(SANITIZED) -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja -DCMAKE_BUILD_TYPE=Debug \
	  -DLOSSFLOOR_PYTHON=OFF -DLOSSFLOOR_NATIVE_TESTS=ON -DLOSSFLOOR_SANITIZE=ON
	$(BIN)/cmake --build $(SANITIZED)
	$(SANITIZED)/solver_trials --first $(FIRST) --count $(COUNT)

# Random questions of every kind, for so long; SEED says which.
SECONDS ?= 600
SEED ?= 1

soak: $(LINKED)
	$(BIN)/python tests/soak/trials.py --seconds $(SECONDS) --seed $(SEED)

clean:
	rm -rf $(VENV) build dist demo
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
