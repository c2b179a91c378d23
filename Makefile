# Two commands do all set-up on a fresh machine with python3, make and git: `make repro` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
JOBS ?= 2
PYTEST := pytest -rsR -n 2 --dist loadscope --no-loadscope-reorder  # tests/conftest.py deals them out
MKDOCS := NO_MKDOCS_2_WARNING=1 mkdocs
export PATH := $(CURDIR)/$(BIN):$(PATH)
# uv does not know pip's variable
ifneq ($(PIP_INDEX_URL),)
ifeq ($(UV_DEFAULT_INDEX)$(UV_INDEX_URL),)
export UV_DEFAULT_INDEX := $(PIP_INDEX_URL)
endif
endif
unexport PYTHONDONTWRITEBYTECODE  # without bytecode every stage would take seconds more to start

.DEFAULT_GOAL := help
CHAOS ?= 100
FUZZ ?= 10000
SEED ?= 0

.PHONY: help setup repro serve test test-foundation test-served test-long test-fast chaos fuzz gpu lint docs docs-serve pretrain deps lock clean

help: ## show the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

setup: $(READY) ## the environment alone, .venv
	@echo "now: source $(BIN)/activate"

repro: $(READY) ## run whatever is out of date, from data to report/index.html
	@python -m flows.local --jobs $(JOBS)
	@echo "the report is report/index.html"

serve: $(READY) ## Prefect on this machine: server, UI, deployments and workers, until Ctrl-C
	@python -m flows.serve

test: $(READY) ## all tests but those that take minutes each
	@$(PYTEST) -m "not foundation and not served and not long"

test-foundation: $(READY) ## the whole DAG on the paper's data formats with SAM ViT-B and ResNet-50
	@$(PYTEST) -m foundation

test-served: $(READY) ## a Prefect server with workers, a remote over SFTP, and what goes wrong there
	@$(PYTEST) -m served

test-long: $(READY) ## the studies and several processes
	@$(PYTEST) -m long

test-fast: $(READY) ## the tests that take no more than a few seconds each
	@$(PYTEST) -m "not slow and not foundation and not served and not long"

chaos: $(READY) ## disturb it: CHAOS=100 rounds of kills, damage, full disks and disorder, drawn from SEED=0
	@OMP_NUM_THREADS=1 python -m tests.chaos --rounds $(CHAOS) --seed $(SEED)

fuzz: $(READY) ## read FUZZ=10000 damaged files for each reader of strangers' files, drawn from SEED=0
	@OMP_NUM_THREADS=1 python -m tests.fuzz --inputs $(FUZZ) --seed $(SEED)

gpu: $(READY) ## measure what docs/gpu.md has rows for, in at most 8 minutes on one GPU without network
	@python -m bench.gpu

lint: $(READY) ## style (ruff), types (basedpyright), layers (import-linter), and the code behind each stage in dvc.yaml
	@python -m flows.deps --check
	@lint-imports --no-cache
	@ruff check .
	@ruff format --check .
	@basedpyright

docs: $(READY) ## the documents as a site, site/index.html
	@$(MKDOCS) build --strict --quiet
	@echo "the site is site/index.html"

docs-serve: $(READY) ## the same on localhost, built again whenever a document changes
	@$(MKDOCS) serve

pretrain: $(READY) ## train the bundled models again: for shapes (45 CPU minutes), or PHOTOS=folder for photographs
	@python -m prosam.pretraining$(if $(PHOTOS),.photos $(PHOTOS))

deps: $(READY) ## write the code that each stage depends on into dvc.yaml
	@python -m flows.deps

lock: $(READY) ## pin the dependencies anew after a change of pyproject.toml
	@$(UV) pip compile --universal --generate-hashes --no-emit-index-url --no-header --quiet \
		--extra pipeline --extra demo --extra video --extra generalists --extra onnx --extra dev pyproject.toml -o requirements.lock

clean: ## remove what the pipeline made, its caches, and unfinished work
	rm -rf data/raw data/folds data/annotations data/weights data/embeddings models results report .scratch .dvc/cache .dvc/tmp

# Without activation, as under cron, `.venv/bin/dvc repro` runs its stages with this interpreter, not with another one
# or none: each Python of the environment puts its folder first on the PATH.
define OWN_PATH
import pathlib, sysconfig
line = "import os, sys; b = os.path.dirname(sys.executable); p = os.environ.get('PATH', os.defpath).split(os.pathsep); " \
    "b in p or os.environ.update(PATH=os.pathsep.join([b, *p]))"
pathlib.Path(sysconfig.get_path("purelib"), "prosam_path.pth").write_text(line + "\n")
endef
export OWN_PATH

# The environment: pinned and hashed, then the package itself, editable.
$(READY): requirements.lock pyproject.toml | $(UV)
	@echo "setting up $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "error: $(PYTHON) is not Python 3.11 to 3.13; name one that is, as in: make repro PYTHON=python3.12" >&2; exit 2; }
	@test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) $(VENV)
	@VIRTUAL_ENV=$(VENV) $(UV) pip sync --quiet --require-hashes requirements.lock
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -c "$$OWN_PATH"
	@touch $@

# Only where there is no uv on the PATH.
.uv/bin/uv:
	@$(PYTHON) -m venv .uv
	@.uv/bin/pip install --quiet --disable-pip-version-check uv==0.13.9
