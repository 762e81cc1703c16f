# keywatch. The two that matter: `make demo` and `make test`.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Node 24 and the CDK CLI, pinned in package-lock.json, come first in the PATH.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
export CDK_DISABLE_CLI_TELEMETRY := true

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
STATICCHECK := go tool -modfile=tools/staticcheck/go.mod staticcheck
GOVULNCHECK := go tool -modfile=tools/govulncheck/go.mod govulncheck

# Packages by how they may be tested: jsii cannot run under the race detector,
# and what needs Node, Python or a built binary comes last.
JSII := ./constructs
JS := test/bench/js/node_modules/.package-lock.json
HOUSE := ./test/localaws ./test/oracle ./test/e2e
PURE = $(filter-out $(patsubst ./%,keywatch/%,$(JSII) $(HOUSE)),$(shell go list ./...))

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 16

.PHONY: demo
demo: tools bin/keywatch ## the main job for real, against a local AWS: no account needed
	@go run ./test/demo

.PHONY: test
test: tools verify test-pure test-jsii test-house ## every test, the end-to-end one included
	@echo "all tests passed"

.PHONY: verify
verify: ## gofmt, go mod tidy, go vet, staticcheck
	@echo "== gofmt, go mod tidy, go vet, staticcheck"
	@unformatted=$$(git ls-files '*.go' | xargs gofmt -l); \
	  if [ -n "$$unformatted" ]; then echo "not formatted, run gofmt -w: $$unformatted"; exit 1; fi
	@go mod tidy -diff
	@go vet ./...
	@$(STATICCHECK) ./...

.PHONY: test-pure
test-pure: need-cc
	@echo "== pure packages, with the race detector, in random order"
	@go build -o .cache/gate ./test/gate
	@go test -json -race -shuffle=on $(PURE) | .cache/gate pure

.PHONY: test-jsii
test-jsii: node_modules/.package-lock.json
	@echo "== constructs and stacks, through jsii"
	@go build -o .cache/gate ./test/gate
	@go test -json $(JSII) | .cache/gate jsii

.PHONY: test-house
test-house: tools bin/keywatch
	@echo "== the whole house: local AWS, the oracle of the SLA sum, CDK CLI"
	@go build -o .cache/gate ./test/gate
	@go test -json -count=1 -timeout 45m $(HOUSE) | .cache/gate house

.PHONY: build
build: bin/keywatch ## bin/keywatch

# Go knows best what changed.
.PHONY: bin/keywatch
bin/keywatch:
	@go build -ldflags "-X main.version=$(VERSION)" -o $@ .

.PHONY: bench
bench: need-go node_modules/.package-lock.json $(JS) bin/keywatch ## synth beside a plain JavaScript app, the pure side at 100,000 keys, and logs beside jq
	@mkdir -p .cache
	@go run ./test/bench -benchstat .cache/bench.txt
	@go run ./test/bench inventory
	@go run ./test/bench sla

FUZZTIME ?= 10m
.PHONY: fuzz
fuzz: need-go ## each fuzz target for FUZZTIME, and a long run of random fault schedules
	@go test -run '^$$' -fuzz '^FuzzParse$$' -fuzztime $(FUZZTIME) ./config
	@go test -run '^$$' -fuzz '^FuzzCondition$$' -fuzztime $(FUZZTIME) ./config
	@go test -run '^$$' -fuzz '^FuzzCompileGlob$$' -fuzztime $(FUZZTIME) ./config
	@go test -run '^$$' -fuzz '^FuzzDecode$$' -fuzztime $(FUZZTIME) ./internal/snapshot
	@go test -run '^$$' -fuzz '^FuzzEvent$$' -fuzztime $(FUZZTIME) ./internal/slalog
	@go test -run '^$$' -fuzz '^FuzzReader$$' -fuzztime $(FUZZTIME) ./internal/slalog
	@go test -run '^$$' -fuzz '^FuzzParse$$' -fuzztime $(FUZZTIME) ./internal/evidence
	@KEYWATCH_FUZZ_SCHEDULES=20000 go test -run NoSchedule -timeout 2h ./internal/live

.PHONY: audit
audit: ## known vulnerabilities; needs the internet
	@$(GOVULNCHECK) ./...

.PHONY: tools
tools: need-go node_modules/.package-lock.json .venv/installed

node_modules/.package-lock.json: package-lock.json package.json | need-node
	@echo "installing the CDK CLI and Node.js (npm ci)"
	@npm ci --no-audit --no-fund --loglevel=error
	@touch $@

.venv/installed: test/localaws/requirements.txt | need-python
	@echo "installing moto and cfn-lint (pip, into .venv)"
	@rm -rf .venv
	@python3 -m venv .venv
	@.venv/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

$(JS): test/bench/js/package-lock.json test/bench/js/package.json | need-node
	@echo "installing the JavaScript CDK that bench measures beside (npm ci)"
	@npm ci --prefix test/bench/js --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: venv
venv: .venv/installed

.PHONY: need-go need-node need-python need-cc
need-go:
	@command -v go >/dev/null || { echo "missing: go (the version in go.mod or later); see the Go project's installation page"; exit 1; }
need-node:
	@command -v npm >/dev/null || { echo "missing: Node.js with npm; on Debian: apt-get install nodejs npm"; exit 1; }
need-python:
	@python3 -c 'import venv, ensurepip' 2>/dev/null || { echo "missing: Python 3 with venv; on Debian: apt-get install python3 python3-venv"; exit 1; }
need-cc:
	@command -v "$${CC:-cc}" >/dev/null || command -v gcc >/dev/null || { echo "missing: a C compiler, for the race detector; on Debian: apt-get install gcc libc6-dev"; exit 1; }

.PHONY: clean
clean: ## remove what was built and installed
	@rm -rf bin .cache .venv node_modules test/bench/js/node_modules cdk.out
