# Every command of the town. `make` alone lists them.
VENV ?= .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
DISTRIBUTIONS := shared gateway services/procedures services/identity services/standardization \
	services/notifications deploy/onebox deploy/sandbox
READY := $(VENV)/.ready

export PYTHONDONTWRITEBYTECODE ?= 1

.DEFAULT_GOAL := help
.PHONY: help setup

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(READY) ## install everything into .venv

$(READY): requirements.lock $(addsuffix /pyproject.toml,$(DISTRIBUTIONS))
	@echo "[1/3] Python environment in $(VENV)"
	@python3 -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --no-deps "uv==$(UV_VERSION)"
	@echo "[2/3] libraries, each checked against its hash"
	@VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip sync --quiet --require-hashes requirements.lock
	@echo "[3/3] the town's own packages"
	@VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation $(addprefix -e ,$(DISTRIBUTIONS))
	@touch $@
