PYTHON ?= python
BENCHMARKS = $(sort $(wildcard doc/benchmarks/bench_*.py))
ONLY = $(BENCHMARKS:doc/benchmarks/bench_%.py=%)

.PHONY: all lint format test doc bench

all: lint test

lint:
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m numpydoc lint sk_softkmeans/*.py
	$(PYTHON) -m codespell_lib

format:
	$(PYTHON) -m ruff check --fix
	$(PYTHON) -m ruff format

test:
	$(PYTHON) -m pytest

doc:
	$(PYTHON) -m sphinx -W --keep-going doc doc/_build/html

bench:
	@set -e; for name in $(ONLY); do \
		echo "== $$name"; \
		$(PYTHON) doc/benchmarks/bench_$$name.py --output doc/benchmarks; \
	done
	$(PYTHON) doc/benchmarks/readme_table.py
