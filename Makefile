# Every command of the town. `make` alone lists them.
VENV ?= .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
DISTRIBUTIONS := shared gateway services/procedures services/identity services/standardization \
	services/notifications deploy/onebox deploy/sandbox
PACKAGES := town_kit town_gateway town_procedures town_identity town_standardization town_notifications \
	town_onebox town_sandbox
SOURCES := $(addsuffix /src,$(DISTRIBUTIONS))
READY := $(VENV)/.ready
TOOLS := $(VENV)/tools
TOWN ?= .town
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
ONEBOX := $(BIN)/python -m town_onebox

# Compiled modules are kept, in one place: without them every process spends seconds of CPU at its start.
export PYTHONPYCACHEPREFIX ?= $(abspath $(VENV))/pycache
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
# Folders have the names of some: without this line make would take them for done.
.PHONY: help setup run reset test test-fast check lint types imports dependencies security lock bench kafka contracts \
	faults contracts-up-to-date contract-lint matrix fuzz sbom audit assumptions assumptions-marked manifests network-policies \
	deploy-secrets where new-slice format restore-drill site-loss backup restore

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

setup: $(READY) ## install everything into .venv

$(READY): requirements.lock $(addsuffix /pyproject.toml,$(DISTRIBUTIONS))
	@echo "[1/3] Python environment in $(VENV)"
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed (python3)"; exit 1; }
	@test -x $(BIN)/python || python3 -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps "uv==$(UV_VERSION)"
	@echo "[2/3] libraries, each checked against its hash"
	@VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --quiet --require-hashes -r requirements.lock
	@echo "[3/3] the town's own packages"
	@VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation $(addprefix -e ,$(DISTRIBUTIONS))
	@touch $@

run: $(READY) ## start the town with a sandbox outside world (ONCE=1: one journey, then end; MODE=distributed)
	@$(ONEBOX) run --directory $(TOWN) --mode $(or $(MODE),onebox) $(if $(ONCE),--once)

reset: ## remove the town's data and secrets
	@if test -x $(BIN)/python && test -d $(TOWN); then $(ONEBOX) reset --directory $(TOWN); fi

test: $(READY) ## run all tests (ARGS="-k word" narrows them)
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup $(ARGS)

test-fast: $(READY) ## run the unit and architecture tests
	@$(BIN)/python -m pytest $(wildcard */tests/unit services/*/tests/unit deploy/*/tests/unit tests/architecture) $(ARGS)

check: lint types imports dependencies security contracts-up-to-date contract-lint matrix assumptions-marked manifests ## lint, types, import rules, security, contracts, manifests

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "run: make format"; exit 1; }

types: $(READY)
	@$(BIN)/mypy $(addprefix -p ,$(PACKAGES) tests.load tests.faults tests.fuzz)

imports: $(READY)
	@$(BIN)/lint-imports --no-cache --no-logo > $(VENV)/imports.txt || { cat $(VENV)/imports.txt; exit 1; }

# What each distribution imports is what it declares.
dependencies: $(READY)
	@for each in $(DISTRIBUTIONS); do (cd $$each && $(abspath $(BIN))/deptry --no-ansi src > $(abspath $(VENV))/deptry.txt 2>&1) \
		|| { echo "$$each:"; cat $(VENV)/deptry.txt; exit 1; }; done

security: $(READY)
	@$(BIN)/bandit --configfile pyproject.toml --quiet --recursive --severity-level medium $(SOURCES)

lock: $(READY) ## compile requirements.lock from pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
		--group pyproject.toml:all -o requirements.lock

bench: $(READY) ## run the benchmarks (JSON=1: one object a line; ONLY=lifecycle,relay)
	@JSON=$(JSON) $(BIN)/python -m tests.load --only "$(ONLY)"

faults: $(READY) ## kill, cut and starve a loaded town, then count (ONLY=F5,F6; JSON=1; LONG=1: the counts of a release; SEEDED=1: find broken builds)
	@JSON=$(JSON) LONG=$(LONG) $(BIN)/python -m tests.faults$(if $(SEEDED),.seeded) --only "$(ONLY)"

restore-drill: $(READY) ## back up, burn, restore, relay again, compare with the outside; then count (JSON=1)
	@JSON=$(JSON) $(BIN)/python -m tests.faults.restore_drill

site-loss: $(READY) ## destroy a loaded primary and promote its standby, synchronous and not; then count (JSON=1)
	@JSON=$(JSON) $(BIN)/python -m tests.faults.site_loss

backup: $(READY) ## back the town up: TO=/other/disk/night KEYS=/safe/night-keys (both new)
	@test -n "$(TO)" || { echo "make backup TO=控えの新しいフォルダ [KEYS=鍵の控えの新しいフォルダ]"; exit 1; }
	@$(ONEBOX) backup --directory $(TOWN) --to "$(TO)" $(if $(KEYS),--keys-to "$(KEYS)")

restore: $(READY) ## restore a backup into a fresh place: FROM=/other/disk/night KEYS=/safe/night-keys
	@test -n "$(FROM)" || { echo "make restore FROM=控えのフォルダ [KEYS=鍵の控えのフォルダ]"; exit 1; }
	@$(ONEBOX) restore --directory $(TOWN) --from "$(FROM)" $(if $(KEYS),--keys-from "$(KEYS)")

kafka: $(READY) ## a real single-node Apache Kafka on loopback, until Ctrl-C
	@$(BIN)/python -m town_onebox.kafka $(TOWN)/kafka

contracts: $(READY) ## write the generated contracts from the code
	@$(BIN)/python -m town_onebox.contracts contracts

contracts-up-to-date: $(READY)
	@$(BIN)/python -m town_onebox.contracts --check contracts

SPECTRAL := $(TOOLS)/spectral/node_modules/.bin/spectral

# spectral, at the versions and hashes of tests/contract/spectral.
$(SPECTRAL): tests/contract/spectral/package.json tests/contract/spectral/package-lock.json
	@echo "spectral (some seconds, once)"
	@mkdir -p $(TOOLS)/spectral
	@cp $^ $(TOOLS)/spectral/
	@cd $(TOOLS)/spectral && npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

contract-lint: $(READY) ## lint the published contracts with spectral (needs npm; without it says what is skipped)
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory --silent $(SPECTRAL); fi
	@$(BIN)/python -m pytest tests/contract/spectral

matrix: $(READY) ## every route stands in the authorisation matrix (a part of check)
	@$(BIN)/python -m pytest --quiet tests/contract/test_matrix_is_complete.py

fuzz: $(READY) ## search every reader and route for failures (SECONDS=120: for readers and routes each)
	@$(BIN)/python -W ignore -m tests.fuzz --seconds $(or $(SECONDS),120)
	@TOWN_FUZZ_SECONDS=$$(( $(or $(SECONDS),120) / 5 )) TOWN_FUZZ_SEED=$${RANDOM:-$$(date +%s)} \
		$(BIN)/python -m pytest tests/contract/test_schemathesis.py -s

sbom: $(READY) ## the list of every library with its licence (CycloneDX 1.6), in .town/sbom.json
	@mkdir -p $(TOWN)
	@$(BIN)/cyclonedx-py environment --output-reproducible --spec-version 1.6 --output-format JSON \
		--output-file $(TOWN)/sbom.json $(BIN)/python 2> /dev/null
	@$(BIN)/python -c 'import json; found = json.load(open("$(TOWN)/sbom.json")); \
		print("$(TOWN)/sbom.json:", len(found["components"]), "components")'

audit: $(READY) ## ask PyPI's advisories about every locked library (not part of check: it needs the network)
	@$(BIN)/python .ci/audit $(BIN)

assumptions: $(READY) ## every outward field, code and rule, with its source: official, observed, ours
	@$(BIN)/python -m town_onebox.assumptions

assumptions-marked: $(READY)
	@$(BIN)/python -m town_onebox.assumptions --check

# kustomize and a reader of compose files (compose-go), at the versions and hashes of tests/manifests/tools.
$(TOOLS)/compose-check: tests/manifests/tools/go.mod tests/manifests/tools/go.sum tests/manifests/tools/main.go
	@echo "kustomize and compose-go (about a minute, once)"
	@mkdir -p $(TOOLS)
	@cd tests/manifests/tools && go build -trimpath -o $(abspath $(TOOLS))/ . sigs.k8s.io/kustomize/kustomize/v5
	@touch $@

manifests: $(READY) ## check k8s/, deploy/compose and deploy/Dockerfile (needs Go; without it says what is skipped)
	@if command -v go >/dev/null; then $(MAKE) --no-print-directory --silent $(TOOLS)/compose-check; fi
	@$(BIN)/python -m pytest tests/manifests

network-policies: $(READY) ## write the network policies of k8s/ from contracts/zones.yaml
	@$(BIN)/python -m town_onebox.network_policies k8s/components/network-policies

deploy-secrets: $(READY) ## make passwords and keys for containers: INTO=.town/compose DATABASE=database:5432 ANCHOR=https://…
	@$(BIN)/python -m town_onebox.bundle "$(or $(INTO),$(TOWN)/compose)" --database "$(or $(DATABASE),database:5432)" \
		$(if $(ANCHOR),--anchor "$(ANCHOR)")

where: $(READY) ## where a word lives: make where TERM=申請
	@$(BIN)/python -m town_onebox.where "$(TERM)"

new-slice: $(READY) ## copy the golden slice: FROM=applications SERVICE=procedures NAME=corrections
	@$(BIN)/python -m town_onebox.new_slice "$(FROM)" "$(SERVICE)" "$(NAME)"

format: $(READY) ## format the code
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix . || true
