# `make demo` and `make test` do all their own set-up. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OIDC := tests/peers/oidc/node_modules
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.DEFAULT_GOAL := help
.PHONY: help demo test peers unit check format lock clean system-packages

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

demo: $(VENV)/.runtime ## run the main job once, end to end, on this machine
	$(BIN)/stint demo

test: $(VENV)/.dev $(OIDC)/.installed ## run all tests, against real PostgreSQL, slapd and Prefect
	$(BIN)/pytest -n 4 -q

peers: ## also install Samba and 389 Directory Server, for the tests of Active Directory and 389
	@scripts/peers

unit: $(VENV)/.dev ## run only the tests that open no connection
	$(BIN)/pytest -q tests/unit

check: $(VENV)/.dev ## style, types and architecture
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## resolve the requirement files again (needs uv)
	scripts/lock

# A real OpenID provider for the tests of Microsoft's sign-in library. It is the only part that needs npm; without it, its tests say so.
$(OIDC)/.installed: tests/peers/oidc/package.json
	@if command -v npm >/dev/null; then \
	    echo "installing the OpenID provider of the tests"; \
	    npm install --prefix $(<D) --no-package-lock --no-audit --no-fund --silent && touch $@; \
	else echo "no npm: the tests against a real OpenID provider are skipped"; fi

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis $(OIDC)

system-packages:
	@scripts/system-packages $(PYTHON)

# Everything comes from hash-locked files; python-ldap is built with the locked build tools, without an environment of its own.
$(VENV)/.build: requirements/build.txt | system-packages
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "Stint needs Python 3.11 to 3.13; say PYTHON=python3.11")'
	@echo "making the virtual environment $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --require-hashes -r requirements/build.txt
	@touch $@

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml $(VENV)/.build
	@echo "installing the locked requirements"
	@$(PIP) --require-hashes --no-build-isolation -r requirements/runtime.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	@echo "installing the locked test and check tools"
	@$(PIP) --require-hashes --no-build-isolation -r requirements/dev.txt
	@touch $@
