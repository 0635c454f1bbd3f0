# Each task is a function in scripts/tasks.py; bootstrap.py first makes the environment it needs.
#   make test ARGS="-k cached -x"        PYTHON=python3.12 make demo

PYTHON ?= python3
ARGS ?=

TASKS = demo test check bench load test-compat test-frameworks lock docs

.PHONY: $(TASKS) clean
.NOTPARALLEL:

$(TASKS):
	@$(PYTHON) scripts/bootstrap.py $@ $(ARGS)

clean:
	rm -rf .venv .compat .site .cache .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
