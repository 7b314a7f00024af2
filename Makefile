PYTHON ?= python

.PHONY: all lint format test doc

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
