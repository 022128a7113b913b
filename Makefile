# Two commands are enough: `make run` starts a cluster, `make test` passes the tests.
# `make check` is everything that CI runs.

GO            ?= go
RACE          ?=
TESTS         ?= ./node ./test/conformance ./node/api ./test/runbooks ./cmd/writ ./...
FUZZTIME      ?= 10s
USERS         ?= 100000
FOR           ?= 1h
SEED          ?= 0
SEEDS         ?= 200
FIRST         ?= 1
SIMULATE      ?=
VERSION       ?= $(shell git describe --tags --always --dirty)
REVISION      ?= $(shell git rev-parse HEAD)
SIGN          ?=
LINT_VERSION  := v2.15.0
BIN           := bin
LINT          := .cache/golangci-lint-$(LINT_VERSION)

export CGO_ENABLED ?= 0

.PHONY: run build test check fmt lint mod fuzz simulate bench chaos restore cluster cluster-stop cluster-down release clean

run: ## start a cluster on loopback, from nothing
	$(GO) run ./cmd/writ dev

build: ## one static binary, bin/writ
	$(GO) build -o $(BIN)/writ ./cmd/writ

# Most tests wait for each other's processes: more packages than processors run at once, the
# longest first. test/tidy reads source and starts nothing: there is no race for it to have.
test: ## all tests; what is skipped is named and counted at the end
	{ $(GO) list $(TESTS) | grep -v '/test/tidy$$' | xargs -r $(GO) test $(RACE) -timeout 25m -p 3 -json; \
	  $(GO) list $(TESTS) | grep '/test/tidy$$' | xargs -r $(GO) test -json; } | $(GO) run ./test/summary

check: fmt mod lint ## everything that CI runs
	CGO_ENABLED=1 $(MAKE) test RACE="-race -vet=off"

fmt:
	@files=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$files" || { echo "not formatted by gofmt:"; echo "$$files"; exit 1; }

# raft-boltdb v2.3.1 needs a package that go-metrics v0.7 dropped.
mod:
	$(GO) mod verify
	$(GO) mod tidy -diff
	@version=$$($(GO) list -m -f '{{.Version}}' github.com/hashicorp/go-metrics); case $$version in v0.[0-6].*) ;; *) echo "go-metrics $$version does not build with raft-boltdb: keep v0.6"; exit 1;; esac

$(LINT):
	mkdir -p .cache
	GOBIN=$(CURDIR)/.cache $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	mv .cache/golangci-lint $@

lint: $(LINT)
	$(LINT) run

fuzz: ## every fuzz target for FUZZTIME
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; \
	done

chaos: ## the process rig for FOR, with the faults that SEED chooses; as root it can do all of them
	$(GO) run ./test/chaos/run -for $(FOR) -seed $(SEED)

simulate: ## SEEDS histories of whole nodes under faults, from seed FIRST; SIMULATE=-print tells one
	cd test/simulation && $(GO) test -run '^TestSimulation$$' -count 1 -timeout 24h -seeds $(SEEDS) -first $(FIRST) $(SIMULATE)
	cd test/simulation && $(GO) test -run '^TestSessionMutants$$' -count 1 -timeout 1h -mutants

bench: ## the figures of the README, each beside its limit
	$(GO) run ./test/bench

restore: ## a cluster of USERS users, each with an access key, backed up under load and restored twice
	$(GO) test ./test/restore -count 1 -v -timeout 1h -users $(USERS)

cluster: ## three writers and two replicas with docker compose
	./test/compose/up

cluster-stop: ## stop it and keep everything; `make cluster` goes on
	./test/compose/stop

cluster-down: ## delete it with all data and keys; asks, or needs CONFIRM=yes
	CONFIRM=$(CONFIRM) ./test/compose/down

# A name of a release is nothing that the shell reads as more than a name.
release: export RELEASE = $(VERSION)
release: export RELEASED = $(REVISION)
release: ## binaries, checksums and lists of what they are made of in dist/; SIGN=KEY signs by a key of SSH
	$(GO) run ./test/release -version "$$RELEASE" -revision "$$RELEASED" -sign "$(SIGN)"

clean:
	rm -rf $(BIN) .cache dist
