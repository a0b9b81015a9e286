# leat: the few commands people type. Meson and ninja build it; tools/ holds what is longer than a
# line. `make help` lists them.
MAKEFLAGS += --no-print-directory

BUILD      := build
DIR        ?= .
PORT       ?= 8080
DATA       ?= $(or $(XDG_DATA_HOME),$(if $(HOME),$(HOME)/.local/share),/var/tmp)/leat-data
KAFKA_PORT ?= 9092
PREFIX     ?= /usr/local

.DEFAULT_GOAL := all
.PHONY: all help run test interop soak bench bench-kafka install format lint fuzz-long lab-vm clean

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

all: $(BUILD)/build.ninja ## build a release: build/leat
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	meson setup --prefix=$(PREFIX) $(BUILD)

run: ## install what is missing, build, serve DIR (.) on PORT (8080), Kafka on KAFKA_PORT (9092)
	tools/setup run
	$(MAKE) all
	@mkdir -p "$$(dirname "$(DATA)")" || { echo "make run DATA=FOLDER keeps Kafka's logs elsewhere" >&2; exit 1; }
	@printf '%s\n' '' 'Once it runs, from another terminal (kcat: apt-get install kcat):' '' \
		'    curl http://127.0.0.1:$(PORT)/' \
		'    echo hello | kcat -b 127.0.0.1:$(KAFKA_PORT) -P -t test' \
		'    kcat -b 127.0.0.1:$(KAFKA_PORT) -C -t test -e' ''
	exec $(BUILD)/leat run --http "$(DIR)" --http-listen 127.0.0.1:$(PORT) \
		--kafka "$(DATA)" --kafka-listen 127.0.0.1:$(KAFKA_PORT)

test: ## install what the tests need, build with every warning on, run every test
	tools/setup test
	tools/check

interop: ## against Apache Kafka and clients of other languages, where Java, Maven, npm, Go, pip are there
	tools/setup test
	/usr/bin/python3 -B -m pytest -v -rs -p no:cacheprovider tests/interop

soak: ## a Kafka broker for SOAK_SECONDS (3600) with clients that are killed, and trouble; prints a report
	tools/setup test
	$(MAKE) all
	tests/soak/soak.py

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
