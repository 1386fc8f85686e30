# Two commands do everything on a fresh machine: `make run` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SCALE ?= lesson
SEEDS ?= 1

.PHONY: help setup run lab test check benchmark recording gpu reference potential system clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1|/' | awk -F'|' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(VENV)/.installed ## install everything into .venv (about 3 minutes)

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"Python {v[0]}.{v[1]} was found; lisi_nb needs 3.11 to 3.13. Choose one with: make setup PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@

run: setup ## the interdiffusion study, end to end (SCALE=lesson, SEEDS=1): runs, table, figures, notebook
	$(BIN)/lisi-nb reproduce interdiffusion --scale $(SCALE) --seeds $(SEEDS)

lab: setup ## JupyterLab on notebooks/
	$(BIN)/jupyter lab --notebook-dir=. notebooks/00_start_here.ipynb

test: $(VENV)/.installed-test reference ## install what the tests need (also teacher and trainer) and run them
	$(BIN)/pytest

check: $(VENV)/.installed-test ## ruff, formatting, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

benchmark: $(VENV)/.installed-test ## speed of MD and analysis beside plain alternatives, and what a person waits for in JupyterLab
	$(BIN)/pytest tests/benchmarks tests/browser/speed_lab.py -o testpaths=tests/benchmarks -s

recording: $(VENV)/.installed-test ## docs/recording.png: a run that outlives kernel and browser, by screenshots
	$(BIN)/pytest tests/browser/test_recording_lab.py
	$(BIN)/python tests/browser/contact_sheet.py

gpu: $(VENV)/.installed ## exchange the CPU engine for the CUDA one (NVIDIA GPU)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[gpu]'
	$(BIN)/pip uninstall --quiet --yes tensorflow-cpu
	$(BIN)/pip install --quiet --disable-pip-version-check --force-reinstall --no-deps tensorflow==2.21.0

system: ## Debian/Ubuntu packages for 3-D viewers, browser tests, Slurm tests and ab initio engines (needs root)
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends libegl1 libgl1 libopengl0 libxkbcommon0 libdbus-1-3 libfontconfig1 libglib2.0-0 chromium \
		g++ cp2k slurm-wlm munge

reference: .venv-reference/.installed ## GPAW and the teacher, which label frames, and the trainer (PyTorch), in an environment of their own

.venv-reference/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-reference
	@command -v g++ > /dev/null || { echo "GPAW is built here and needs a C++ compiler (g++). Debian/Ubuntu: make system"; exit 1; }
	CC=g++ GPAW_CONFIG=$(CURDIR)/lisi_nb/references/gpaw_build.cfg \
		.venv-reference/bin/pip install --quiet --disable-pip-version-check $$($(PYTHON) -c 'import tomllib; d = tomllib.load(open("pyproject.toml", "rb"))["project"]; print(*d["optional-dependencies"]["reference"], *[x for x in d["dependencies"] if x.startswith(("ase", "numpy", "scipy"))])')
	@touch $@

potential: setup reference ## rebuild the shipped potential from the labels in data/training (about an hour)
	$(BIN)/python -m lisi_nb.training.recipe make

clean: ## remove caches (runs are kept)
	rm -rf data/cache build .pytest_cache .ruff_cache .mypy_cache tests/artifacts
