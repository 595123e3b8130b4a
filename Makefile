# gaitd: three programs, one Makefile.
#
#   make            the programs, in build/
#   make demo       a sweep over learning rules on real data, in minutes
#   make check      every test
#   make deps       install what is missing, from Debian's packages
#   make lint       warnings, static analysis, include rules
#   make format     clang-format over the sources
#   make install    and uninstall: PREFIX=/usr/local DESTDIR=
#
# SANITIZE=address,undefined (or thread) builds into a folder of its own.

PREFIX ?= /usr/local
CC = gcc
PYTHON ?= /usr/bin/python3
VERSION := 0.1.0

comma := ,
BUILD := build$(if $(SANITIZE),/$(subst $(comma),-,$(SANITIZE)))

WARNINGS = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wvla -Wformat=2 -Werror
CFLAGS ?= -O2 -g
SANITIZERS = $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer \
	-fno-sanitize-recover=all)
# -ffp-contract=off: a * b + c rounds twice on every machine, so that element
# loops built for several CPUs give the same bits.
COMPILE = $(CC) -std=gnu11 $(WARNINGS) $(CFLAGS) $(SANITIZERS) -pthread \
	-ffp-contract=off -fno-common -I. -I$(BUILD) -MMD -MP \
	-DGAITD_VERSION='"$(VERSION)"'

# Each folder's files, and the libraries it sees.
schema_FILES = error settings
daemon_FILES =
worker_FILES =
client_FILES =
schema_PACKAGES = libcjson libxxhash
daemon_PACKAGES = libuv sqlite3
worker_PACKAGES = openblas lapacke zlib
client_PACKAGES =
FOLDERS = schema daemon worker client

$(foreach f,$(FOLDERS),$(eval $(f)_OBJECTS = \
	$$(addprefix $(BUILD)/$(f)/,$$(addsuffix .o,$$($(f)_FILES)))))
packages = $(schema_PACKAGES) $($(1)_PACKAGES)
libraries = $(shell pkg-config --libs $(call packages,$(1)) || echo pkg-config-failed) -lm
includes = $(shell pkg-config --cflags $(call packages,$(1)) || echo pkg-config-failed)

.PHONY: all check unit e2e demo deps lint format install uninstall clean
all: $(BUILD)/gaitd $(BUILD)/gait-worker $(BUILD)/gaitctl

$(BUILD)/gaitd: $(BUILD)/daemon/main.o $(daemon_OBJECTS) $(schema_OBJECTS)
	$(CC) $(CFLAGS) $(SANITIZERS) -pthread -o $@ $^ $(call libraries,daemon)
$(BUILD)/gait-worker: $(BUILD)/worker/main.o $(worker_OBJECTS) $(schema_OBJECTS)
	$(CC) $(CFLAGS) $(SANITIZERS) -pthread -o $@ $^ $(call libraries,worker)
$(BUILD)/gaitctl: $(BUILD)/client/main.o $(client_OBJECTS) $(schema_OBJECTS)
	$(CC) $(CFLAGS) $(SANITIZERS) -pthread -o $@ $^ $(call libraries,client)

define folder_rule
$(BUILD)/$(1)/%.o: $(1)/%.c
	@mkdir -p $$(@D)
	$$(COMPILE) $$(call includes,$(1)) -c -o $$@ $$<
endef
$(foreach f,$(FOLDERS),$(eval $(call folder_rule,$(f))))

# One test program per file, named <folder>_<module>.c after what it tests.
UNIT_TESTS = $(basename $(notdir $(wildcard tests/unit/*.c)))
define unit_rule
$(BUILD)/tests/$(1): tests/unit/$(1).c $$($(2)_OBJECTS) $$(schema_OBJECTS)
	@mkdir -p $$(@D)
	$$(COMPILE) $$(call includes,$(2)) -o $$@ $$(filter %.c,$$<) \
		$$(filter %.o,$$(sort $$^)) $$(call libraries,$(2)) -lcmocka
endef
$(foreach t,$(UNIT_TESTS),$(eval $(call unit_rule,$(t),$(firstword $(subst _, ,$(t))))))
unit: $(addprefix $(BUILD)/tests/,$(UNIT_TESTS))
	@for t in $^; do $$t || exit 1; done

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
