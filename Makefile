# Every command sets up what it needs first. `make help` lists them.
SHELL := /bin/bash
PY := .venv/bin/python
WORKER := .venv-worker/bin/python
TEST_ENV := QT_QPA_PLATFORM=offscreen FORGE_WORKER_PYTHON=$(CURDIR)/$(WORKER) HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false

.PHONY: chaos help setup demo app test test-docker worker-image check ci bench bench-peers matrix docs contact-sheets screenshots coverage lint types imports newcomer clean-environments

help:          ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## / — /' | sort

setup:         ## install what is missing (system libraries, desktop and worker environments)
	@./installer/setup.sh all

demo: setup    ## fine-tune the bundled model on the bundled data, live in the desktop
	@$(PY) -m engine.cli demo

app: setup     ## start the desktop
	@$(PY) -m forge_desktop

test: setup    ## all tests
	@$(TEST_ENV) $(PY) -m pytest -q -n 2 --dist worksteal tests/unit tests/desktop --ignore tests/unit/compute
	@$(TEST_ENV) $(PY) -m pytest -q -n 2 --dist worksteal tests/integration tests/e2e
	@$(TEST_ENV) $(WORKER) -m pytest -q -n 2 --dist worksteal -p no:pytest-qt tests/unit/compute

# Each of them starts engines of its own; on the system's engine (FORGE_TEST_ENGINE=system) they would be in each other's way.
DOCKER_WORKERS ?= $(if $(filter system,$(FORGE_TEST_ENGINE)),0,2)
test-docker: setup  ## tests with real Docker engines, which they start (as root); skipped where none can start
	@./installer/setup.sh docker
	@as=""; [ "$$(id -u)" = 0 ] || [ -z "$${CI:-}" ] || as="sudo -n -E"; \
	  $$as env $(TEST_ENV) $(PY) -m tests.helpers.docker_image && \
	  $$as env $(TEST_ENV) $(PY) -m pytest -n $(DOCKER_WORKERS) --dist worksteal tests/docker

# BASE_IMAGE=… another Debian with Python; CUDA=0 for the processor only; WHEELS=gather fetches packages beforehand with
# this computer's pip, WHEELS=FOLDER takes them from there; NETWORK=… of the builder. DOCKER_HOST names the engine.
worker-image: setup  ## build the image workers run in (BASE_IMAGE, CUDA=0, WHEELS=gather)
	@$(PY) -m engine.cli image build $(if $(BASE_IMAGE),--base "$(BASE_IMAGE)") $(if $(filter 0,$(CUDA)),--cpu) \
	  $(if $(NETWORK),--network "$(NETWORK)") $(if $(filter gather,$(WHEELS)),--gather-wheels,$(if $(WHEELS),--wheels "$(WHEELS)"))

check: setup lint types imports  ## for every commit: lint, types, import rules, fast tests
	@$(TEST_ENV) $(PY) -m pytest -q -n 2 tests/unit --ignore tests/unit/compute -m "not slow"
	@$(TEST_ENV) $(PY) -m pytest -q -n 2 tests/desktop -m "not slow"

lint:
	@$(PY) -m ruff check --quiet --output-format concise . && $(PY) -m ruff format --check --quiet . || { $(PY) -m ruff check .; $(PY) -m ruff format --check .; exit 1; }

types:
	@$(PY) -m mypy engine forge_desktop

imports:
	@.venv/bin/lint-imports --no-cache > .import-rules.log 2>&1 || { cat .import-rules.log; rm -f .import-rules.log; exit 1; }; rm -f .import-rules.log

chaos: setup   ## faults over eight runs at once; nothing may be lost (CHAOS_SEED, CHAOS_FAULTS=200, CHAOS_EXECUTORS=docker,process)
	@./installer/setup.sh docker
	@as=""; [ "$$(id -u)" = 0 ] || [ -z "$${CI:-}" ] || as="sudo -n -E"; \
	  $$as env $(TEST_ENV) $(PY) -m tests.helpers.docker_image && $$as env $(TEST_ENV) $(PY) -m tests.chaos

ci: setup lint types imports test test-docker  ## what continuous integration runs (`test` has all that `check` tests)
	@CHAOS_SEED=$${CHAOS_SEED:-7} CHAOS_FAULTS=$${CHAOS_FAULTS:-20} $(MAKE) --no-print-directory chaos

bench: setup   ## timings as ratios against a peer or a baseline in the same run → bench/results.md
	@$(PY) -m tests.bench

bench-peers: setup  ## one training run here and with Trainer, trl, ms-swift and LLaMA-Factory (environments in bench/.peers)
	@$(PY) -m tests.bench.training_peers | tee bench/peers.md

matrix: setup  ## every stage with every tuner trains on the demo model → docs/matrix.md (PART="dpo lora" for some)
	@HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false OMP_NUM_THREADS=1 $(WORKER) -m tests.matrix $(PART)

contact-sheets: setup  ## pictures of every page in every look, to be looked at
	@QT_QPA_PLATFORM=offscreen $(PY) -m tests.desktop.contact_sheets contact-sheets

screenshots: setup  ## the pictures of every page and dialog → docs/screens
	@QT_QPA_PLATFORM=offscreen $(PY) -m tests.desktop.screenshots docs/screens

coverage: setup ## which lines the tests of desktop, controller and contract reach
	@$(TEST_ENV) $(PY) -m pytest -q tests/unit tests/desktop tests/integration --ignore tests/unit/compute --cov --cov-report=term

docs: setup    ## write the docs that are made from the code
	@$(PY) -c "from engine.contract.config_reference import reference; print(reference(), end='')" > docs/run-config.md
	@$(PY) -c "from engine.control.jobs.diagnosis.reference import reference; print(reference(), end='')" > docs/diagnosis.md

newcomer: ## run the two commands in a bare Debian root, so that nothing installed by hand hides a missing step
	@./tests/newcomer.sh
