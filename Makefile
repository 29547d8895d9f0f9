# make run   a whole authority from nothing, with a hundred demonstration cards
# make demo  the same as a story with an end; report in var/demo/report.md
# make test  everything, nothing skipped
# make soak  thousands of kills, power cuts and disk faults; goes on where it was stopped
# make bench the figures of docs/PERFORMANCE.md, on a quiet machine
.PHONY: run demo test soak race lint fuzz golden build setup clean bench bench-issue

GO ?= go
PROGRAMS := cpsca cpsca-authority cpsca-status
FUZZTIME ?= 20s
REVISION := $(shell git describe --always --dirty 2>/dev/null || echo unknown)

run: setup build
	@exec bin/cpsca demo run --folder var/run

demo: setup build
	@exec bin/cpsca demo story --folder var/demo

test: setup
	$(GO) vet ./...
	CPSCA_TEST_STRICT=1 $(GO) test -timeout 20m ./...

soak: setup
	CPSCA_SOAK=$(CURDIR)/var/soak CPSCA_TEST_STRICT=1 $(GO) test -count=1 -timeout 60m -v -run '^Test(KilledAtAnyInstant|PowerCut|DiskFault)' ./endtoend

race: setup
	CPSCA_TEST_STRICT=1 $(GO) test -race -timeout 60m ./...

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...

fuzz:
	@set -e; for package in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$package 2>/dev/null | grep '^Fuzz' || true); do \
	    echo "$$package $$target"; $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
	  done; done

golden:
	$(GO) test ./profiles -run Golden -update

bench: bench-issue

# BENCH holds more flags: make bench-issue BENCH="--report docs"
bench-issue: setup build
	@$(GO) build -trimpath -buildvcs=false -tags unprotected -ldflags "-X main.revision=$(REVISION)" -o bin/unprotected/cpsca-authority ./cmd/cpsca-authority
	@exec bin/cpsca bench issue --folder var $(BENCH)

build: $(addprefix bin/,$(PROGRAMS))

bin/%: FORCE
	@$(GO) build -trimpath -buildvcs=false -ldflags "-X main.revision=$(REVISION)" -o $@ ./cmd/$*

setup:
	@tools/setup

clean:
	rm -rf bin

FORCE:
