# `make` alone lists what there is. What a machine lacks is installed into bin/, or by apt-get where that is allowed.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

export CGO_ENABLED ?= 0

bin := $(CURDIR)/bin
# With other settings in the environment a tool's own module would be built by ours.
install := GOBIN=$(bin) GOFLAGS= GOWORK=off go install
temporal_version := v1.5.1
golangci_version := v2.15.0
workflowcheck_version := v0.6.0
# The version is part of the name, so that another version is another file.
golangci := $(bin)/golangci-lint-$(golangci_version)
workflowcheck := $(bin)/workflowcheck-$(workflowcheck_version)
temporal = $(or $(PUNCHCARD_TEMPORAL),$(shell command -v temporal),$(bin)/temporal)

# Packages that are tested at once. Several start servers and a browser: more would be slower on two cores, not faster.
p ?= 2
# Arguments to go test, as in `make test packages=./internal/store args='-run TestPoints -v'`.
packages ?= ./...
args ?=

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/punchcard
	go build -o $(bin)/punchcard ./cmd/punchcard

# flag gives the command line's flag when the variable of make is set.
flag = $(if $($(1)),--$(2)=$($(1)))

.PHONY: run
run: build ## Start everything on this machine; PORT= PHONE_PORT= TEMPORAL_PORT= UI_PORT= DATA= SPEED= FRESH=1
	@exec $(bin)/punchcard dev $(call flag,PORT,port) $(call flag,PHONE_PORT,phone-port) $(call flag,TEMPORAL_PORT,temporal-port) \
		$(call flag,UI_PORT,ui-port) $(call flag,DATA,data) $(call flag,SPEED,speed) $(if $(FRESH),--fresh=$(if $(filter 0 false no,$(FRESH)),false,true))

.PHONY: test
test: $(temporal) chromium ## Test everything on SQLite, PostgreSQL, Temporal and a browser; packages= args=
	PUNCHCARD_TEMPORAL=$(temporal) PUNCHCARD_REQUIRE_POSTGRES=1 PUNCHCARD_REQUIRE_CHROMIUM=$(if $(CI),1) \
		deploy/postgres.sh go test -p $(p) -timeout 10m $(args) $(packages)

.PHONY: test-unit
test-unit: $(temporal) ## Test without PostgreSQL and a browser, as much as this machine has
	PUNCHCARD_TEMPORAL=$(temporal) go test -short -p $(p) -timeout 10m $(args) $(packages)

.PHONY: lint
lint: $(golangci) $(workflowcheck) ## Check format, module file, linters, the arrows between packages, and workflows' determinism
	@unformatted=$$(gofmt -l .); if [[ -n $$unformatted ]]; then echo "not formatted (make fmt):"; echo "$$unformatted"; exit 1; fi
	go mod tidy -diff
	go vet ./...
	$(golangci) run ./...
	$(workflowcheck) ./workflows/...

.PHONY: fmt
fmt: $(golangci) ## Format the code
	$(golangci) fmt ./...

.PHONY: tools
tools: $(temporal) $(golangci) $(workflowcheck) ## Install what development needs into bin/

$(bin)/temporal:
	@echo "building Temporal's command line: some minutes, this once"
	$(install) github.com/temporalio/cli/cmd/temporal@$(temporal_version)

$(golangci):
	@echo "building golangci-lint: some minutes, this once"
	$(install) github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(golangci_version)
	mv $(bin)/golangci-lint $@

$(workflowcheck):
	$(install) go.temporal.io/sdk/contrib/tools/workflowcheck@$(workflowcheck_version)
	mv $(bin)/workflowcheck $@

# Tests with a browser skip themselves without one, and say so; where CI is set they must run.
.PHONY: chromium
chromium:
	@if ! command -v chromium chromium-browser google-chrome >/dev/null; then \
		if [[ $$(id -u) -eq 0 ]] && command -v apt-get >/dev/null; then \
			echo "installing Chromium for the browser tests"; \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null || true; \
		fi; \
		if ! command -v chromium chromium-browser google-chrome >/dev/null; then \
			echo "there is no Chromium here: the browser tests will $(if $(CI),fail,be skipped)"; \
		fi; \
	fi

.PHONY: clean
clean: ## Remove what was built and what tests left; the data of make run stays
	rm -rf $(bin) .testdata
