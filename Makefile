# gaitd: three programs, one Makefile.
#
#   make            the programs, in build/
#   make demo       a sweep over learning rules on real data, in minutes
#   make check      every test: make unit, make e2e, and where there is nvcc
#                   make cuda-check: GPU code on libraries that stand in
#   make deps       install what is missing, from Debian's packages
#                   (FOR="build demo check lint" chooses what for)
#   make fuzz       inputs made up for the parsers, FUZZ_S=60 seconds for each
#   make torture    proofs that take long
#   make gpu-check  the engine's tests on the GPU that is here
#   make lint       warnings, static analysis, include rules
#   make format     clang-format over the sources
#   make bench      how fast it is; prints figures, judges nothing
#   make bench-daemon   the daemon's part of it; BENCH=--quick for a first look
#   make bench-gpu  what GPUs would need, computed: the tables of docs/gpu.md
#   make precision  how exact it is, likewise, in minutes
#   make install    and uninstall: PREFIX=/usr/local DESTDIR=
#
# The plugin for GPUs, gait-cuda.so, is built where CUDA's compiler is: in $PATH
# or /usr/local/cuda/bin, or NVCC=; CUDA=0 leaves it out, CUDA=1 insists.
#
# SANITIZE=address,undefined (or thread) builds into a folder of its own.
# V=1 shows whole commands.

PREFIX ?= /usr/local
CC = gcc
PYTHON ?= /usr/bin/python3
VERSION := 0.1.0
FOR ?= build demo check

comma := ,
BUILD := build$(if $(SANITIZE),/$(subst $(comma),-,$(SANITIZE)))
Q := $(if $(V),,@)

WARNINGS = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wvla -Wformat=2 -Werror
CFLAGS ?= -O2 -g
SANITIZERS = $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer \
	-fno-sanitize-recover=all)
# -ffp-contract=off: a * b + c rounds twice on every machine, so that element
# loops built for several CPUs give the same bits.
FLAGS = -std=gnu11 $(WARNINGS) $(CFLAGS) $(SANITIZERS) -pthread \
	-ffp-contract=off -fno-common -I. -I$(BUILD) \
	-DGAITD_VERSION='"$(VERSION)"'
COMPILE = $(CC) $(FLAGS) -MMD -MP
LINK = $(CC) $(CFLAGS) $(SANITIZERS) $(LDFLAGS) -pthread

# Each folder's files, and the libraries it sees.
schema_FILES = axis control diagnostic error event faults gpu_memory inbox job \
	json key memory message nearest paths setting settings spec syntax \
	utf8 widths work
daemon_FILES = attempt backup ballast choice clock columns config connection \
	connection_out cpu datasets db device devices fleet fleet_survey folder fsck \
	fsck_main fsck_rule gaitd gaitd_store gate hello holding hooks hub keeper \
	ledger ledger_file ledger_notes limits listener lock log loop_errand \
	loop_stat method missing notice notify nvml operation option peer place \
	process pulse query query_counts query_deletion query_events query_explain \
	query_groups query_history query_list query_results query_show query_sweeps \
	query_upkeep query_varying query_verification query_waiting reader repeat \
	request request_ask request_order request_status request_submit \
	request_upkeep retries rights run_folder server sibling slot store \
	store_after store_aside store_attempt store_checkpoint store_commit \
	store_control store_count store_deletion store_diagnostic store_disk \
	store_dispatch store_drain store_ending store_event store_finish store_hook \
	store_job store_limit store_move store_queue store_quota store_removal \
	store_retry store_slot store_submit store_sweep store_target store_verify \
	store_visit store_wait submission tables tail tally target user wish
worker_FILES = attempt channel checkpoint dataset file hash idx import lock \
	npz pace phase rows safetensors selftest selftest_failure \
	selftest_gradient selftest_operation selftest_outcome selftest_system \
	selftest_time selftest_training session task teller \
	engine/agreement engine/backend_cpu engine/backend_cpu_f32 \
	engine/backend_cpu_f64 engine/device engine/diagnostics \
	engine/evaluator engine/feedback engine/initial engine/layout \
	engine/matrix engine/network engine/order engine/regulariser \
	engine/row_set engine/rule engine/rule_bp engine/rule_dfa \
	engine/rule_fa engine/rule_gait engine/rule_gait_published \
	engine/rule_itp engine/rule_tp engine/sample engine/snapshot \
	engine/step engine/stream engine/system engine/trainer
client_FILES = board chart cmd_backup cmd_control cmd_delete cmd_devices \
	cmd_drain cmd_events cmd_explain cmd_fsck cmd_history cmd_keep \
	cmd_list cmd_plot cmd_queue cmd_results cmd_retry cmd_show \
	cmd_shutdown cmd_status cmd_submit cmd_verify cmd_wait cmd_watch \
	connection curves deadline exits grid help listing moment news options \
	output plot style submission table text watcher
schema_PACKAGES = libcjson libxxhash
daemon_PACKAGES = libuv sqlite3
worker_PACKAGES = openblas lapacke zlib
client_PACKAGES =
FOLDERS = schema daemon worker client
PROGRAMS = gaitd gait-worker gaitctl

NVCC ?= $(firstword $(wildcard $(shell command -v nvcc) /usr/local/cuda/bin/nvcc))
CUDA ?= $(if $(NVCC),1,0)
$(if $(filter-out 0 1,$(CUDA)),$(error CUDA="$(CUDA)", expected 0 or 1))
PLUGIN = $(if $(filter 1,$(CUDA)),$(BUILD)/gait-cuda.so)

.PHONY: all no-plugin check unit replay cuda-check cuda-engine cuda-resources \
	cuda-model cuda-whole gpu-check e2e torture fuzz fuzz-keep demo deps \
	lint format bench bench-daemon bench-gpu precision install uninstall \
	clean FORCE
all: $(PROGRAMS:%=$(BUILD)/%) $(if $(PLUGIN),$(PLUGIN),no-plugin)

# pkg-config is asked once per folder and only when something is compiled, so
# that `make deps` runs where there is none; a library that is not there ends
# the build with its name.
define folder_flags
$(1)_OBJECTS = $$($(1)_FILES:%=$(BUILD)/$(1)/%.o)
$(1)_CFLAGS = $$(eval $(1)_CFLAGS := $$(call pkg_config,--cflags,$(1)))$$($(1)_CFLAGS)
$(1)_LIBS = $$(eval $(1)_LIBS := $$(call pkg_config,--libs,$(1)) -lm)$$($(1)_LIBS)
endef
$(foreach f,$(FOLDERS),$(eval $(call folder_flags,$(f))))
pkg_config = $(call found,$(shell \
	pkg-config --print-errors $(1) $(schema_PACKAGES) $($(2)_PACKAGES) 2>&1))
found = $(if $(filter 0,$(.SHELLSTATUS)),$(1),$(error \
	a library is missing ($(strip $(1))); `make deps` installs it))

# Objects depend on the flags they were built with, programs on their list of
# files: each is a file that changes only when its contents do.
$(BUILD)/flags: STAMP = $(CC) $(FLAGS)
$(BUILD)/files: STAMP = $(LINK) $(foreach f,$(FOLDERS),$($(f)_FILES) $($(f)_PACKAGES))
$(BUILD)/flags $(BUILD)/files: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(STAMP))' | cmp -s - $@ || \
		printf '%s\n' '$(subst ','\'',$(STAMP))' >$@

define folder_rule
$(BUILD)/$(1)/%.o: $(1)/%.c $(BUILD)/flags
	@mkdir -p $$(@D)
	$$(if $$(Q),@echo '  CC    $$<')
	$$(Q)$$(COMPILE) $$($(1)_CFLAGS) -c -o $$@ $$<
endef
$(foreach f,$(FOLDERS),$(eval $(call folder_rule,$(f))))

# The engine knows one thread (but for OpenBLAS's own); watched by the thread
# sanitizer its loops would take most of the tests' time.
$(BUILD)/worker/engine/%.o: SANITIZERS := $(if \
	$(filter thread,$(SANITIZE)),,$(SANITIZERS))

# The tables, and how older ones become them, as C strings.
$(BUILD)/%_sql.h: schema/%.sql
	@mkdir -p $(@D)
	$(Q)sed -e 's/[\"]/\\&/g' -e 's/.*/"&\\n"/' $< >$@
$(BUILD)/daemon/tables.o: $(patsubst schema/%.sql,$(BUILD)/%_sql.h,$(wildcard schema/*.sql))

define program_rule
$(BUILD)/$(1): $(BUILD)/$(2)/main.o $$($(2)_OBJECTS) $$(schema_OBJECTS) $(BUILD)/files
	$$(if $$(Q),@echo '  LINK  $$@')
	$$(Q)$$(LINK) -o $$@ $$(filter %.o,$$^) $$($(2)_LIBS)
endef
$(eval $(call program_rule,gaitd,daemon))
$(eval $(call program_rule,gait-worker,worker))
$(eval $(call program_rule,gaitctl,client))

# What a single test needs beside its folder's libraries.
worker_engine_exact_LIBS = -lmpfr -lgmp
schema_allocation_LIBS = -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free

# The plugin for GPUs.  The runtime is shared, so that tests can put another in
# its place; images are not compressed, and everything ptxas has to complain of
# is an error.  No contraction: element-wise operations give the CPU's bits.
cuda_FILES = backend_cuda backend_cuda_algebra backend_cuda_find \
	backend_cuda_kernels
cuda_OBJECTS = $(cuda_FILES:%=$(BUILD)/cuda/%.o)
CUDA_ARCHITECTURES = 75 80 86 89 90 100 120
CUDA_FLAGS = -std=c++17 -O2 -I. -cudart=shared --no-compress -fmad=false \
	$(foreach a,$(CUDA_ARCHITECTURES),-gencode arch=compute_$(a)$(comma)code=sm_$(a)) \
	-gencode arch=compute_75,code=compute_75 \
	-Xcompiler -fPIC,-fvisibility=hidden,-Wall,-Wextra,-Wno-unused-parameter \
	-Werror all-warnings,cross-execution-space-call,default-stream-launch,missing-launch-bounds \
	-Xptxas -v,-warn-spills,-warn-lmem-usage,-Werror
no-plugin:
	@echo '  no CUDA compiler (nvcc) is used: gait-worker is built without gait-cuda.so'
$(BUILD)/cuda/flags: STAMP = $(NVCC) $(CUDA_FLAGS)
$(BUILD)/cuda/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(STAMP)' | cmp -s - $@ || printf '%s\n' '$(STAMP)' >$@
$(BUILD)/cuda/%.o: worker/engine/%.cu $(BUILD)/cuda/flags
	$(if $(NVCC),,$(error CUDA=1, but there is no nvcc: NVCC= names one))
	$(if $(Q),@echo '  NVCC  $<')
	$(Q)$(NVCC) $(CUDA_FLAGS) -MMD -MP -c -o $@ $< >$@.log 2>&1 || \
		{ grep -v '^ptxas info' $@.log >&2; rm -f $@; exit 1; }
$(BUILD)/gait-cuda.so: $(cuda_OBJECTS)
	$(if $(Q),@echo '  LINK  $@')
	$(Q)$(NVCC) -cudart=shared -shared -o $@ $^ -lcublas -lcusolver
-include $(cuda_OBJECTS:.o=.d)

# One test program per file, named <folder>_<module>.c after what it tests.
UNIT_TESTS = $(basename $(notdir $(wildcard tests/unit/*.c)))
define unit_rule
$(BUILD)/tests/$(1).o: tests/unit/$(1).c $(BUILD)/flags
	@mkdir -p $$(@D)
	$$(if $$(Q),@echo '  CC    $$<')
	$$(Q)$$(COMPILE) $$($(2)_CFLAGS) -c -o $$@ $$<
$(BUILD)/tests/$(1): $(BUILD)/tests/$(1).o $$($(2)_OBJECTS) $$(schema_OBJECTS) $(BUILD)/files
	$$(if $$(Q),@echo '  LINK  $$@')
	$$(Q)$$(LINK) -o $$@ $$(filter %.o,$$(sort $$^)) $$($(2)_LIBS) -lcmocka $$($(1)_LIBS)
endef
$(foreach t,$(UNIT_TESTS),$(eval $(call unit_rule,$(t),$(firstword $(subst _, ,$(t))))))

-include $(foreach f,$(FOLDERS),$($(f)_OBJECTS:.o=.d) $(BUILD)/$(f)/main.d) \
	$(UNIT_TESTS:%=$(BUILD)/tests/%.d)

# Goals that people type on a fresh machine install what they need first; the
# rest of the work is a make of its own, which sees what was installed.
deps:
	@PYTHON='$(PYTHON)' tests/deps $(FOR)
AGAIN = +@$(MAKE) --no-print-directory \
	$(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))

demo:
	@PYTHON='$(PYTHON)' tests/deps build demo
	$(AGAIN) all
	@BUILD='$(BUILD)' tests/demo

check:
	@PYTHON='$(PYTHON)' tests/deps build check
	$(AGAIN) all $(UNIT_TESTS:%=$(BUILD)/tests/%) $(FUZZ_TARGETS:%=$(BUILD)/fuzz/%)
	+@$(MAKE) --no-print-directory unit replay
	+@$(MAKE) --no-print-directory cuda-check
	+@$(MAKE) --no-print-directory e2e

# A sanitizer's finding ends the program that it is found in.
SANITIZER_OPTIONS = UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
	TSAN_OPTIONS=halt_on_error=1:suppressions='$(CURDIR)/tests/thread.supp'

unit: $(UNIT_TESTS:%=$(BUILD)/tests/%)
	@failed=; for t in $^; do \
		$(SANITIZER_OPTIONS) $$t || failed="$$failed $${t##*/}"; \
	done; \
	if [ -n "$$failed" ]; then echo "failed:$$failed" >&2; exit 1; fi

e2e: all cuda-libraries
	@$(SANITIZER_OPTIONS) GAITD_BUILD='$(abspath $(BUILD))' \
		PYTHONDONTWRITEBYTECODE=1 \
		$(PYTHON) -m pytest -p no:cacheprovider -q $(PYTEST) tests/e2e

# On a machine that does nothing else: hours, and at the end what was done.
# TORTURE="crash" chooses, GAITD_TORTURE_STRIDE=7 takes every seventh write.
TORTURE ?= cuda hostile torture crash wal
torture: all $(if $(filter cuda,$(TORTURE)),cuda-whole)
	@$(if $(filter-out cuda,$(TORTURE)),\
		GAITD_TORTURE=1 $(SANITIZER_OPTIONS) GAITD_BUILD='$(abspath $(BUILD))' \
		PYTHONDONTWRITEBYTECODE=1 \
		$(PYTHON) -m pytest -p no:cacheprovider -v $(PYTEST) \
		$(patsubst %,tests/e2e/test_%.py,$(filter-out cuda,$(TORTURE))))

# Targets of the fuzzer, and what each needs beside schema/.  `make check` runs
# them over the kept inputs, built as everything else is.
FUZZ_TARGETS = messages specs sweeps idx npz safetensors tasks attempts
fuzz_sweeps = daemon/submission daemon/place
fuzz_idx = worker/idx
fuzz_npz = worker/npz worker/file
fuzz_safetensors = worker/safetensors worker/hash worker/file
fuzz_tasks = worker/task worker/rows worker/hash
fuzz_attempts = daemon/attempt daemon/clock daemon/log daemon/run_folder
define fuzz_rule
$(BUILD)/fuzz/$(1).o: tests/fuzz/$(1).c $(BUILD)/flags
	@mkdir -p $$(@D)
	$$(if $$(Q),@echo '  CC    $$<')
	$$(Q)$$(COMPILE) -D_GNU_SOURCE -Itests/fuzz $$(schema_CFLAGS) -c -o $$@ $$<
$(BUILD)/fuzz/$(1): $(BUILD)/fuzz/$(1).o $(fuzz_$(1):%=$(BUILD)/%.o) \
		$(if $(FUZZER),,$(BUILD)/fuzz/replay.o) $$(schema_OBJECTS) $(BUILD)/files
	$$(if $$(Q),@echo '  LINK  $$@')
	$$(Q)$$(LINK) $(FUZZER) -o $$@ $$(filter %.o,$$^) $$(schema_LIBS) -lz
endef
$(foreach t,$(FUZZ_TARGETS) replay,$(eval $(call fuzz_rule,$(t))))
-include $(FUZZ_TARGETS:%=$(BUILD)/fuzz/%.d) $(BUILD)/fuzz/replay.d

replay: $(FUZZ_TARGETS:%=$(BUILD)/fuzz/%)
	@for t in $(FUZZ_TARGETS); do \
		$(SANITIZER_OPTIONS) $(BUILD)/fuzz/$$t tests/fuzz/corpus/$$t \
			2>$(BUILD)/fuzz/$$t.log || { tail -50 $(BUILD)/fuzz/$$t.log >&2; exit 1; }; \
	done

# Each target FUZZ_S seconds, from the kept inputs on; what it finds new is in
# $(BUILD)/fuzz/found, what broke it beside that, and worth keeping when mended.
# FUZZ="specs idx" chooses.
FUZZ_S ?= 60
FUZZ ?= $(FUZZ_TARGETS)
fuzz:
	@PYTHON='$(PYTHON)' tests/deps build fuzz
	$(AGAIN) BUILD=$(BUILD)/clang CC=clang SANITIZE=address,undefined \
		WARNINGS=-Wall CFLAGS='-O1 -g -fsanitize=fuzzer-no-link' FUZZER=-fsanitize=fuzzer \
		$(FUZZ:%=$(BUILD)/clang/fuzz/%)
	@for t in $(FUZZ); do \
		echo "  FUZZ  $$t"; mkdir -p $(BUILD)/fuzz/found/$$t; \
		$(SANITIZER_OPTIONS) $(BUILD)/clang/fuzz/$$t -max_total_time=$(FUZZ_S) \
			-timeout=10 -max_len=8192 -print_final_stats=0 -verbosity=0 \
			-artifact_prefix=$(BUILD)/fuzz/$$t- \
			$(BUILD)/fuzz/found/$$t tests/fuzz/corpus/$$t || exit 1; \
	done

# The kept inputs and those found, as few as reach the same code.
fuzz-keep:
	@for t in $(FUZZ); do \
		rm -rf $(BUILD)/fuzz/kept && mkdir -p $(BUILD)/fuzz/kept && \
		$(BUILD)/clang/fuzz/$$t -merge=1 -use_counters=0 -use_cmp=0 \
			-verbosity=0 $(BUILD)/fuzz/kept \
			tests/fuzz/corpus/$$t $(BUILD)/fuzz/found/$$t && \
		rm -rf tests/fuzz/corpus/$$t && \
		cp -r $(BUILD)/fuzz/kept tests/fuzz/corpus/$$t || exit 1; \
	done

include tests/cuda/cuda.mk

# Where there is nvcc: the plugin on libraries that stand in for NVIDIA's, and
# what its kernels take of a GPU against the table that is checked in.
cuda_TESTS = $(patsubst %,$(BUILD)/tests/%,$(filter worker_engine_%,$(UNIT_TESTS)))
cuda-check: $(if $(PLUGIN),cuda-engine cuda-resources cuda-model)
cuda-engine: all cuda-libraries $(cuda_TESTS)
	@BUILD='$(BUILD)' tests/cuda/engine
cuda-whole: $(if $(PLUGIN),all cuda-libraries $(cuda_TESTS))
	@$(if $(PLUGIN),BUILD='$(BUILD)' tests/cuda/engine whole,\
		echo '  no CUDA compiler (nvcc): nothing of tests/cuda is run')
gpu-check: all $(cuda_TESTS)
	$(if $(PLUGIN),,$(error no CUDA compiler (nvcc), so no gait-cuda.so to check))
	@BUILD='$(BUILD)' tests/cuda/engine gpu
cuda-model: all cuda-libraries $(BUILD)/bench/gpu_calls
	@$(PYTHON) tests/bench/gpu_model.py $(BUILD) --check
cuda-resources: $(PLUGIN)
	@$(PYTHON) tests/cuda/resources $(BUILD)/cuda/backend_cuda_kernels.o.log $(NVCC)

# The engine's benchmark is the engine and nothing else of the worker.
bench_FILES = engine engine_peers engine_subject
$(BUILD)/bench/engine: $(bench_FILES:%=$(BUILD)/bench/%.o) \
		$(filter $(BUILD)/worker/engine/%,$(worker_OBJECTS)) \
		$(schema_OBJECTS) $(BUILD)/files
	$(if $(Q),@echo '  LINK  $@')
	$(Q)$(LINK) -o $@ $(filter %.o,$^) $(worker_LIBS)
$(BUILD)/bench/%.o: tests/bench/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(if $(Q),@echo '  CC    $<')
	$(Q)$(COMPILE) $(worker_CFLAGS) -c -o $@ $<
-include $(bench_FILES:%=$(BUILD)/bench/%.d)

# A worker that trains nothing, the store without a loop around it, and SQLite
# without a store.
$(BUILD)/bench/stub-worker: $(BUILD)/bench/stub_worker.o
	$(if $(Q),@echo '  LINK  $@')
	$(Q)$(LINK) -o $@ $^
$(BUILD)/bench/rows: $(BUILD)/bench/rows.o $(daemon_OBJECTS) $(schema_OBJECTS) \
		$(BUILD)/files
	$(if $(Q),@echo '  LINK  $@')
	$(Q)$(LINK) -o $@ $(filter %.o,$^) $(daemon_LIBS)
$(BUILD)/bench/commit: $(BUILD)/bench/commit.o $(BUILD)/files
	$(if $(Q),@echo '  LINK  $@')
	$(Q)$(LINK) -o $@ $(filter %.o,$^) $(daemon_LIBS)
-include $(BUILD)/bench/stub_worker.d $(BUILD)/bench/rows.d $(BUILD)/bench/commit.d

bench-daemon: all $(BUILD)/bench/stub-worker $(BUILD)/bench/rows $(BUILD)/bench/commit
	@GAITD_BUILD='$(abspath $(BUILD))' PYTHONDONTWRITEBYTECODE=1 \
		$(PYTHON) tests/bench/daemon $(BENCH)

bench: all $(BUILD)/bench/engine bench-daemon
	@$(BUILD)/bench/engine --torch tests/bench/torch_step.py
	@GAITD_BUILD='$(abspath $(BUILD))' PYTHONDONTWRITEBYTECODE=1 \
		$(PYTHON) tests/bench/jobs

# What GPUs would need, from counts: the tables of docs/gpu.md.
$(BUILD)/bench/gpu_calls: $(BUILD)/bench/gpu_calls.o \
		$(filter $(BUILD)/worker/engine/%,$(worker_OBJECTS)) \
		$(schema_OBJECTS) $(BUILD)/files
	$(if $(Q),@echo '  LINK  $@')
	$(Q)$(LINK) -o $@ $(filter %.o,$^) $(worker_LIBS)
-include $(BUILD)/bench/gpu_calls.d
bench-gpu: all cuda-libraries $(BUILD)/bench/gpu_calls
	@$(PYTHON) tests/bench/gpu_model.py $(BUILD)

# The engine's objects alone: what it computes, beside what it ought to.
$(BUILD)/tests/precision.o: tests/bench/precision.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(if $(Q),@echo '  CC    $<')
	$(Q)$(COMPILE) -D_GNU_SOURCE -c -o $@ $<
$(BUILD)/tests/precision: $(BUILD)/tests/precision.o $(schema_OBJECTS) \
		$(filter $(BUILD)/worker/engine/%,$(worker_OBJECTS))
	$(if $(Q),@echo '  LINK  $@')
	$(Q)$(LINK) -o $@ $^ $(worker_LIBS)
-include $(BUILD)/tests/precision.d

precision: $(BUILD)/tests/precision
	@$<

SOURCES = $(sort $(foreach f,$(FOLDERS),$(wildcard $(f)/*.[ch] $(f)/*/*.[ch] $(f)/*/*.inc)) \
	$(wildcard worker/engine/*.cu worker/engine/*.cuh) $(wildcard tests/*/*.[ch]))
HEADERS = $(filter %.h,$(filter-out tests/%,$(SOURCES)))

# Every part stamps what it has passed, so that a second run looks only at
# what changed.
lint: $(HEADERS:%=$(BUILD)/lint/%.alone) \
	$(patsubst %.c,$(BUILD)/lint/%.tidy,$(filter-out tests/%,$(filter %.c,$(SOURCES))))
	@tests/deps --show lint
	@$(PYTHON) tests/lint/rules
	+@$(if $(PLUGIN),$(MAKE) --no-print-directory cuda-resources)
	@clang-format --dry-run -Werror $(SOURCES)
	@echo 'lint: clean'

folder_of = $(if $(filter tests/%,$(1)),$(firstword $(subst _, ,$(notdir $(1)))),$(firstword \
	$(subst /, ,$(1))))
$(BUILD)/lint/%.h.alone: %.h $(BUILD)/flags | all
	@mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) $($(call folder_of,$<)_CFLAGS) -MMD -MP -MF $@.d -MT $@ \
		-x c -fsyntax-only -include $< /dev/null
	@touch $@
$(BUILD)/lint/%.tidy: %.c .clang-tidy $(HEADERS) $(BUILD)/flags | all
	@tests/deps --show lint
	@mkdir -p $(@D)
	$(if $(Q),@echo '  TIDY  $<')
	$(Q)clang-tidy --quiet $< -- $(FLAGS) $($(call folder_of,$<)_CFLAGS) \
		$(if $(filter schema/error.c,$<),,-include tests/lint/analyzer.h) \
		>$@.log 2>&1 || { cat $@.log >&2; exit 1; }
	@touch $@

format:
	clang-format -i $(SOURCES)

DOCS = README.md docs/gpu.md schema/protocol.md schema/schema.sql
CONFIGS = $(wildcard configs/*.json)
# A unit's file and where it goes, below PREFIX; systemd looks there when PREFIX
# is /usr/local or /usr.
UNITS = system.service:lib/systemd/system/gaitd.service \
	user.service:lib/systemd/user/gaitd.service \
	sysusers.conf:lib/sysusers.d/gaitd.conf
unit_file = configs/systemd/$(firstword $(subst :, ,$(1)))
unit_place = $(DESTDIR)$(PREFIX)/$(lastword $(subst :, ,$(1)))
define install_unit
	install -d $(dir $(call unit_place,$(1)))
	sed 's|@PREFIX@|$(PREFIX)|g' $(call unit_file,$(1)) >$(call unit_place,$(1))
	chmod 644 $(call unit_place,$(1))

endef

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/gaitd \
		$(DESTDIR)$(PREFIX)/share/gaitd $(DESTDIR)$(PREFIX)/share/doc/gaitd
	install $(BUILD)/gaitd $(BUILD)/gaitctl $(DESTDIR)$(PREFIX)/bin
	install $(BUILD)/gait-worker $(PLUGIN) $(DESTDIR)$(PREFIX)/libexec/gaitd
	$(if $(PLUGIN),,rm -f $(DESTDIR)$(PREFIX)/libexec/gaitd/gait-cuda.so)
	install -m 644 $(CONFIGS) $(DESTDIR)$(PREFIX)/share/gaitd
	install -m 644 $(DOCS) $(DESTDIR)$(PREFIX)/share/doc/gaitd
	$(foreach u,$(UNITS),$(call install_unit,$(u)))

uninstall:
	rm -f $(foreach u,$(UNITS),$(call unit_place,$(u)))
	rm -f $(DESTDIR)$(PREFIX)/bin/gaitd $(DESTDIR)$(PREFIX)/bin/gaitctl
	rm -rf $(DESTDIR)$(PREFIX)/libexec/gaitd $(DESTDIR)$(PREFIX)/share/gaitd \
		$(DESTDIR)$(PREFIX)/share/doc/gaitd

clean:
	rm -rf $(BUILD)
