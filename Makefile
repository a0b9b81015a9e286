# leat: the few commands people type. Meson and ninja build it; tools/ holds what is longer than a
# line. `make help` lists them.
MAKEFLAGS += --no-print-directory

BUILD  := build
DIR    ?= .
PORT   ?= 8080
PREFIX ?= /usr/local

.DEFAULT_GOAL := all
.PHONY: all help run test interop bench bench-kafka install format lint fuzz-long lab-vm clean

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

all: $(BUILD)/build.ninja ## build a release: build/leat
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	meson setup --prefix=$(PREFIX) $(BUILD)

run: ## install what is missing, build, serve DIR (.) on PORT (8080) of this machine only
	tools/setup run
	$(MAKE) all
	exec $(BUILD)/leat http --listen 127.0.0.1:$(PORT) $(DIR)

test: ## install what the tests need, build with every warning on, run every test
	tools/setup test
	tools/check

interop: ## against Apache Kafka's own programs, where Java and Maven are there
	tools/setup test
	/usr/bin/python3 -B -m pytest -v -rs -p no:cacheprovider tests/interop

bench: ## compare with the floors and with other servers; takes minutes
	tools/setup bench
	$(MAKE) all
	bench/run

bench-kafka: ## leat kafka beside floors and, where Java and Maven are there, Apache Kafka; takes twenty minutes
	tools/setup bench
	$(MAKE) all
	bench/run kafka

install: all ## install below PREFIX (/usr/local), staged in DESTDIR if given
	meson configure --prefix=$(PREFIX) $(BUILD)
	DESTDIR=$(DESTDIR) meson install -C $(BUILD)

format: ## lay out the C files as .clang-format says
	clang-format-14 -i $$(git ls-files '*.c' '*.h')

lint: ## clang-tidy and cppcheck over everything
	tools/setup test
	tools/check lint

fuzz-long: ## every fuzzer for FUZZ_SECONDS (600) each, corpora kept in build/corpus
	tools/setup test
	FUZZ_SECONDS=$${FUZZ_SECONDS:-600} tools/check fuzz

lab-vm: ## what goes by reference on other kernels: boots Debian's in qemu, writes docs/kernels.md
	tools/setup vm
	tools/lab-vm

clean: ## remove everything that was built
	rm -rf $(BUILD)
