# One line on a fresh machine: an environment in .venv, and the command in it.
PYTHON ?= python3

.PHONY: quick test

.venv/bin/ivi: pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/pip install -q -e '.[run]'
	touch $@

quick: .venv/bin/ivi
	.venv/bin/ivi run quick

test:
	$(PYTHON) -m venv .venv
	.venv/bin/pip install -q -e '.[test]'
	.venv/bin/pytest -q -n auto --dist loadfile
