# Every command there is. `make demo` and `make test` need nothing but Python 3.11 or newer: they install what is
# missing first. Written for GNU make 3.81 (macOS) and newer.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# The whole suite runs on one process more than there are cores, since some of its tests wait for others; each has a
# database of its own. A part of it runs on one. `tests/processes.py` says who gets what.
EVERYTHING := -n $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1) --maxprocesses 4 --dist loadscope

# Containers often forbid Python to keep what it compiled. Here hundreds of processes start, each of which would compile
# thirteen hundred modules again.
unexport PYTHONDONTWRITEBYTECODE

# What checks and a developer's server write of their own (keys, a database) stays inside this folder.
HERE := $(CURDIR)/.dev

.PHONY: help demo test check bench dev coverage settings api clean

help:
	@echo "make demo               everything running, with a simulated WhatsApp number and HubSpot account"
	@echo "make test [ARGS=...]    the whole suite, or what ARGS tell pytest"
	@echo "make check              format, lint, types, walls, templates, migrations, words, docs"
	@echo "make bench [ONLY=name]  measure against floors, in one run"
	@echo "make dev                acervo serve, with debug pages and a data folder of its own (.dev)"
	@echo "make coverage           the suite with branch coverage"
	@echo "make settings           write docs/settings.md anew"
	@echo "make api                write docs/api.md anew"
	@echo "make clean              remove what these commands made here"

$(READY): uv.lock pyproject.toml CHANGELOG.md ground/python.sh
	@sh ground/python.sh

demo: $(READY)
	@sh ground/tools.sh ffmpeg libmagic
	@$(BIN)/acervo demo $(ARGS)

test: $(READY)
	@sh ground/tools.sh ffmpeg libmagic chromium clamd
	@$(BIN)/python -m pytest $(or $(ARGS),$(EVERYTHING))

check: export ACERVO_DATA_DIR := $(HERE)
check: export ACERVO_LOG_LEVEL := ERROR
check: export DJANGO_SETTINGS_MODULE := acervo.settings
check: $(READY)
	@sh ground/tools.sh libmagic
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/djlint acervo --extension=html --lint --quiet
	@# Not through `acervo manage`, which would start a database: it is only asked, in vain, whether it agrees.
	$(BIN)/python -W ignore::RuntimeWarning -m django makemigrations --check --dry-run
	$(BIN)/python -m acervo.web.catalogues check
	$(BIN)/acervo settings --markdown | diff docs/settings.md - || (echo "docs/settings.md is out of date: make settings"; exit 1)

bench: $(READY)
	@sh ground/tools.sh ffmpeg libmagic
	@$(BIN)/python -m bench $(ONLY)

dev: $(READY)
	@sh ground/tools.sh ffmpeg libmagic
	@ACERVO_DEBUG=true ACERVO_DATA_DIR="$(HERE)" $(BIN)/acervo serve $(ARGS)

coverage: $(READY)
	@sh ground/tools.sh ffmpeg libmagic chromium clamd
	@$(BIN)/python -m pytest --cov --cov-report=term:skip-covered --cov-report=html $(ARGS)

settings: $(READY)
	@ACERVO_DATA_DIR="$(HERE)" $(BIN)/acervo settings --markdown > docs/settings.md

api: $(READY)
	@ACERVO_DATA_DIR="$(HERE)" $(BIN)/acervo api --markdown > docs/api.md

clean:
	rm -rf $(VENV) .bootstrap .dev .demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage htmlcov
