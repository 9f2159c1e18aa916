# Thalweg. `make help` lists the targets; README names the first two.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
export CGO_ENABLED ?= 0

SUM     := go run ./tools/testsum
HELPERS := ./tests/events ./tests/harness ./tests/junit ./tests/lean ./tests/ledger ./tests/sdk
# Sizes of the randomised tests; make soak raises them.
POINTS  ?= 2000
SEED    ?= 1

.PHONY: help run build test check clients oracle soak bench generate fuzz deps clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: build ## build everything and show a game's events flowing through a server
	bin/thalweg demo

build: ## bin/thalweg, static
	go build -trimpath -buildvcs=auto -ldflags '-s -w' -o bin/thalweg ./cmd/thalweg

test: deps build ## build, lint rules, unit, conformance, crash and black-box tests
	go vet ./...
	THALWEG_BIN=$(CURDIR)/bin/thalweg $(SUM) \
	  -- -race ./internal/... ./tools/... ./thalwegtest/... . $(HELPERS) \
	  -- ./tests/crash/... -crash.points=$(POINTS) -crash.seed=$(SEED) \
	  -- -p 1 ./tests/go/... ./tests/kafka ./bench/...

check: ## the fast gate
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'run gofmt -w on these'; exit 1; }
	go vet ./...
	$(SUM) -- -short ./internal/... ./tools/... ./thalwegtest/... .

clients: deps build ## the real clients (boto3, AWS CLI, JavaScript SDK) against the real binary
	scripts/clients.sh

oracle: ## a real Apache Kafka's answers, kept for make test to hold Thalweg against
	scripts/oracle.sh

soak: deps build ## the same tests at full size; writes docs/evidence
	scripts/soak.sh

bench: build ## the measurements, beside peers
	go run ./bench

generate: ## everything generated: API code, docs/compatibility.md, docs/config.md, docs/kafka.md
	go run ./tools/apigen
	go test ./internal/config -run Docs -update
	go test ./internal/kafka -run APIVersions -update

fuzz: ## every fuzz target, 30 s each (FUZZTIME=...)
	scripts/fuzz.sh

deps: ## what the tests need on this machine
	@scripts/deps.sh

clean: ## remove what was built
	rm -rf bin
