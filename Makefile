# Everything runs from a fresh clone: the virtual environment is made from requirements.lock (hashes checked).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo up test check bench faults lock clean

# make demo [TRACE=FILE] [MAP=time=COLUMN,...] [SPEED=x] [RESULT=FILE]
demo: $(READY)
	@$(BIN)/aihub demo $(if $(TRACE),--trace "$(TRACE)") $(if $(MAP),--map "$(MAP)") $(if $(SPEED),--speed "$(SPEED)") $(if $(RESULT),--result "$(RESULT)")

up: $(READY)
	@$(BIN)/aihub up $(if $(PORT),--port "$(PORT)")

# make test [WORKERS=n]: n processes, each with engines of its own (about 1 GB); 0: all in one
WORKERS ?= 2
test: $(READY)
	$(BIN)/python -m pytest -n "$(WORKERS)" --dist loadfile --cov --cov-report=term:skip-covered -m "not slow"

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

bench: $(READY)
	$(BIN)/python -m benchmarks

# make faults [SEED=n] [KILLS=n] [MUTANT=name] [RESULT=FILE]
faults: $(READY)
	@$(BIN)/python -m tests.faults $(if $(SEED),--seed "$(SEED)") $(if $(KILLS),--kills "$(KILLS)") $(if $(MUTANT),--mutant "$(MUTANT)") $(if $(RESULT),--result "$(RESULT)")

# The lock is complete, so nothing is resolved: pip would look at newer versions of what is asked for with an extra.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked dependencies into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

# Needs uv on the PATH. The lock carries hashes and no addresses.
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --all-extras --no-emit-index-url --no-annotate --no-header pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) .aihub .mypy_cache .ruff_cache .pytest_cache .hypothesis
