# Each complete on a machine that has Python 3.11+, make and git: `make bench`, `make check` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
RESULTS ?= results/quick
WORKERS ?= -n 2 --dist loadfile --no-loadscope-reorder
# more than there are CPUs: many of these tests wait for other processes
WAITING ?= -n 3 --dist loadfile --no-loadscope-reorder
# what optional tests need: an S3 server, MLflow, the documentation site
EXTRA_LOCKS := -r tests/moto.lock -r tests/trackers.lock -r docs/site/requirements.lock

# the tests start hundreds of processes, which would compile every module again
unexport PYTHONDONTWRITEBYTECODE

.PHONY: bench check lint unit test docs coverage calibration speed speed-gpu cluster setup format
bench: setup
	@status=0; $(BIN)/python harness/bench.py quick --results $(RESULTS) || status=$$?; \
	if [ $$status -ne 2 ]; then $(BIN)/python analysis/report.py $(RESULTS) || exit $$?; fi; exit $$status

# side by side: the type checker uses one CPU
check: setup
	@$(MAKE) --no-print-directory -j 2 lint unit

lint:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit:
	$(BIN)/pytest $(WORKERS) tests/unit harness models analysis

test: check
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps $(EXTRA_LOCKS)
	$(BIN)/pytest $(WAITING) tests/integration tests/cluster

docs: setup
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps -r docs/site/requirements.lock
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir site

coverage: setup
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps $(EXTRA_LOCKS)
	$(BIN)/pytest $(WORKERS) --cov=harness --cov=models --cov=analysis --cov-report=term tests/unit tests/integration \
	harness models analysis

calibration: setup
	$(BIN)/python benchmarks/calibration.py
	$(BIN)/python -m benchmarks.sequential
	$(BIN)/python benchmarks/scale.py

speed: setup
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps -r benchmarks/speed/requirements.lock
	$(BIN)/python -m benchmarks.speed

# on a machine with a GPU
speed-gpu: setup
	$(BIN)/python -m benchmarks.speed --only gpu

cluster: setup
	$(BIN)/python -m benchmarks.cluster.measure
	$(BIN)/python -m benchmarks.cluster

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup: $(READY)
	@$(BIN)/python -m harness.data mnist

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) --version); try: make PYTHON=python3.11"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)
