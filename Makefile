# The commands of the template's own development; a generated project has a Makefile of its own. `make` lists them.
# VENV=<folder> uses an environment that you keep yourself; it is never changed.
VENV ?= .venv
PYTHON ?= python3
BIN := $(abspath $(VENV))/bin
TEMPLATE := <<cookiecutter.project>>
DEMO := demo/late-flights
export PATH := $(BIN):$(PATH)
# One test more than there are cores: they wait for services and clocks.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(4, 1 + (os.cpu_count() or 1)))')

ifeq ($(VENV),.venv)
READY := .venv/.ready
endif

.PHONY: help setup demo test lint bench docs screenshots lock clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

setup: $(READY) ## install what requirements.txt locks into .venv

demo: $(READY) ## the life of a model in demo/: trained, released, watched, retrained, rolled back (SHORT=1: a shorter one)
	@if [ -d $(DEMO) ]; then echo '== $(DEMO) is there already and is used as it is; `rm -rf demo` starts afresh'; \
	else echo '== Generating the flights project into $(DEMO)'; $(MAKE) --no-print-directory $(DEMO); fi
	@echo '== It runs in $(VENV), which holds the versions that it locks: nothing more is installed'
	@echo '== Running its pipeline on the flights of January to March 2013'
	@$(MAKE) --no-print-directory -C $(DEMO) VENV=$(abspath $(VENV)) train
	@$(MAKE) --no-print-directory -C $(DEMO) VENV=$(abspath $(VENV)) report
	@cd $(DEMO) && PYTHONPATH=$$PWD/src SHORT=$(SHORT) $(BIN)/python $(CURDIR)/demo.py
	@echo '== Look at, in $(DEMO):'
	@echo '   reports/report.md      what a reviewer would read'
	@echo '   MODEL_CARD.md          the chosen model, what it is for and how good it is'
	@echo '   reports/profile.html   the data'
	@echo '   reports/plots/         the chosen model on the test slice'
	@echo '   reports/monitoring/    each week of predictions beside the training rows'
	@echo '   site/index.html        versions, what runs where, weeks and decisions on one page'
	@echo '== Next: change something and run it again; only what depends on it runs'
	@echo '   cd $(DEMO)'
	@echo '   $$EDITOR conf/candidate/boosting.yaml'
	@echo '   make train VENV=$(abspath $(VENV))'

# cookiecutter copies the whole folder that it is given: give it the template without .venv and the rest.
$(DEMO):
	@rm -rf demo/.new && mkdir -p demo/.new/template
	@cp -R cookiecutter.json gitloop_answers.py hooks '$(TEMPLATE)' demo/.new/template
	@$(BIN)/cookiecutter demo/.new/template --default-config --no-input --output-dir demo/.new > /dev/null
	@mv demo/.new/late-flights demo/ && rm -rf demo/.new
ifeq ($(SHORT),1)
	@echo '== A shorter one: candidates are trained as their files say, without a search'
	@cd $(DEMO) && sed -i.was 's/tuning: optuna/tuning: none  /' conf/config.yaml && rm conf/config.yaml.was
endif

test: $(READY) ## run the tests (OPTIONS=… for pytest)
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(OPTIONS)

lint: $(READY) ## check style, types and workflows, of the template too
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy hooks/*.py gitloop_answers.py
	$(BIN)/zizmor --offline --quiet .github
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@if command -v actionlint > /dev/null; then echo actionlint && actionlint; \
	else echo 'actionlint: not there, left out; go install github.com/rhysd/actionlint/cmd/actionlint@latest'; fi

bench: $(READY) ## measure what the project claims about speed and size (NAMES=… for some)
	$(BIN)/python -m benchmarks $(NAMES)

docs: $(READY) ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

screenshots: $(READY) ## take the pictures in docs/ of the project that `make demo` ran; needs Chromium
	$(BIN)/python docs/screenshots.py $(DEMO)

lock: $(READY) ## lock the ranges of both pyproject.toml in all requirements*.txt (OPTIONS=--upgrade for newer versions)
	@mkdir -p .lock_cache
	sed 's/<<cookiecutter.project>>/locked/; s/<<.*>>/x/' '$(TEMPLATE)/pyproject.toml' > .lock_cache/pyproject.toml
	$(BIN)/uv pip compile .lock_cache/pyproject.toml --group .lock_cache/pyproject.toml:dev $(LOCK) \
		--output-file '$(TEMPLATE)/requirements.txt'
	for group in serving serving-skops; do \
		$(BIN)/uv pip compile --group .lock_cache/pyproject.toml:$$group $(LOCK) --no-emit-package uv \
			--constraint '$(TEMPLATE)/requirements.txt' --output-file "$(TEMPLATE)/requirements-$$group.txt" || exit; \
	done
	for remote in s3 gs azure ssh webdav; do \
		$(BIN)/uv pip compile --group .lock_cache/pyproject.toml:$$remote $(LOCK) --constraint '$(TEMPLATE)/requirements.txt' \
			$$(sed -n 's/^\([a-z0-9.-]*\)==.*/--no-emit-package \1/p' '$(TEMPLATE)/requirements.txt') \
			--output-file "$(TEMPLATE)/requirements-$$remote.txt" || exit; \
	done
	$(BIN)/uv pip compile .lock_cache/pyproject.toml --group .lock_cache/pyproject.toml:dev --group pyproject.toml:dev $(LOCK) \
		--constraint '$(TEMPLATE)/requirements.txt' --output-file requirements.txt
	echo label-studio-sdk | $(BIN)/uv pip compile - $(LOCK) --output-file tests/requirements-studio.txt

LOCK = --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet $(OPTIONS)

clean: ## remove the demo and caches
	rm -rf demo site .mypy_cache .pytest_cache .ruff_cache '$(TEMPLATE)/.ruff_cache' benchmarks/results
	find '$(TEMPLATE)' benchmarks docs hooks tests -name __pycache__ -prune -exec rm -rf {} +

# uv and what it builds with come first, by pip, with the hashes of the lock.
.venv/.ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make setup PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	awk '/^(setuptools|uv)==/ {on = 1} on {print} !/\\$$/ {on = 0}' requirements.txt > .venv/first.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r .venv/first.txt
	$(BIN)/uv pip sync --python $(BIN)/python --require-hashes --compile-bytecode \
		--no-build-isolation requirements.txt
	$(BIN)/uv pip install --python $(BIN)/python --quiet --no-build-isolation --no-deps --editable .
	touch .venv/.ready
