# Everything is set up inside the checkout: a virtual environment in .venv, from locked, hashed requirements.
# A stamp file remembers what was installed, so a second call installs nothing.
# LOCK=v100 takes the last PyTorch that has kernels for a V100, into .venv-v100.
PYTHON ?= python3
LOCK ?= layerwise
VENV := .venv$(patsubst %,-%,$(filter-out layerwise,$(LOCK)))
DEV_LOCK := $(if $(filter layerwise,$(LOCK)),dev,$(LOCK))
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes

.PHONY: demo docs notebook report test test-brainscore test-models test-slurm lint format lock clean

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(f"layerwise needs Python 3.11 or newer, this is {sys.version.split()[0]}: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: envs/$(LOCK).lock pyproject.toml | $(BIN)/python
	$(PIP) -r envs/$(LOCK).lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/installed-dev: envs/$(DEV_LOCK).lock $(VENV)/installed
	$(PIP) -r envs/$(DEV_LOCK).lock
	touch $@

results/demo-data/config.yaml: | $(VENV)/installed
	$(BIN)/layerwise simulate --output results/demo-data

demo: results/demo-data/config.yaml $(VENV)/installed  ## a whole small study with planted truth
	$(BIN)/snakemake --profile profiles/local --configfile results/demo-data/config.yaml
	$(BIN)/layerwise show-recovery --config results/demo-data/config.yaml --truth results/demo-data/truth.json

notebook: demo $(VENV)/installed-dev  ## figures of the demo in the notebook, as a forge shows them
	$(BIN)/python docs/draw_notebook.py examples/results.ipynb

results/simulated/config.yaml: | $(VENV)/installed
	$(BIN)/layerwise simulate tables --output results/simulated

# The rules after the tables that are simulated: no job of a network, whose results there are none, may be asked for.
STAGES := statistics published tables figures depth training_figures report
OF_TABLES := $(shell sed -n 's/^rule \(.*\):/\1/p' $(STAGES:%=workflow/rules/%.smk))
# A figure of epochs is drawn for each network that was trained: none here.
DRAWN := $(filter plot_%,$(filter-out plot_history,$(OF_TABLES)))

report: results/simulated/config.yaml $(VENV)/installed  ## all figures and the report, of simulated tables at full size
	$(BIN)/snakemake --profile profiles/local --configfile $< --allowed-rules $(OF_TABLES) -- $(DRAWN) make_report

docs: $(VENV)/installed-dev  ## the documentation as a site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

test: lint  ## everything that CI checks
	@$(MAKE) --no-print-directory .venv-brainscore/installed \
	  || echo "Brain-Score's environment cannot be installed here: what is held against its code is skipped"
	$(BIN)/pytest --numprocesses 2 --dist loadfile

test-slurm: $(VENV)/installed-dev  ## each fault of a cluster, on a SLURM of this machine's own (apt-get install slurm-wlm slurmdbd munge mariadb-server)
	$(BIN)/pytest tests/slurm -m "not slow" --numprocesses 2

.venv-brainscore/installed: envs/brainscore.lock
	$(PYTHON) -m venv .venv-brainscore
	.venv-brainscore/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	touch $@

test-brainscore: $(VENV)/installed-dev .venv-brainscore/installed  ## our scores against Brain-Score's own code
	$(BIN)/pytest tests/brainscore

WEIGHTS ?= $(wildcard weights)
IMAGENET ?=
TABLE ?=
test-models: $(VENV)/installed  ## all 64 networks, fact by fact (six minutes on 2 cores; WEIGHTS, IMAGENET: folders; TABLE: Markdown file to write)
	$(BIN)/layerwise models check --all $(if $(WEIGHTS),--weights $(WEIGHTS)) $(if $(IMAGENET),--imagenet $(IMAGENET)) \
	  $(if $(TABLE),--output $(TABLE))

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

lock:  ## write the lock files anew (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --no-emit-index-url --extra demo --constraint envs/build.in --output-file envs/layerwise.lock envs/build.in pyproject.toml
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --no-emit-index-url --extra demo --extra dev --constraint envs/layerwise.lock --output-file envs/dev.lock pyproject.toml
	uv pip compile --quiet --python-version 3.11 --python-platform linux --generate-hashes --no-annotate --no-header \
	  --no-emit-index-url --override envs/brainscore.overrides --output-file envs/brainscore.lock envs/brainscore.in
	uv pip compile --quiet --python-version 3.11 --python-platform linux --generate-hashes --no-annotate --no-header \
	  --no-emit-index-url --extra demo --extra dev --override envs/v100.overrides --output-file envs/v100.lock pyproject.toml
	for lock in layerwise v100 brainscore; do \
	  sed -i "s/^# [0-9a-f]\{64\}$$/# $$(sha256sum envs/$$lock.lock | cut -d ' ' -f 1)/" envs/$$lock.post-deploy.sh; done

clean:  ## results of the demo and the environments
	rm -rf .venv .venv-v100 .venv-brainscore results/demo results/demo-data
