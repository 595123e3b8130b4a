# cuda.mk: libraries that stand in for NVIDIA's on machines without a GPU, and
# the tests of what they catch (cuda-defects, of cuda-check).  See README.md here.

NVCC ?= $(firstword $(wildcard $(shell command -v nvcc) /usr/local/cuda/bin/nvcc))
CUDA ?= $(if $(NVCC),1,0)
# nvcc knows where its headers are; it may be a script or a link.
CUDA_INCLUDE = $(eval CUDA_INCLUDE := $(shell $(NVCC) --dryrun -x cu -c /dev/null 2>&1 | \
	sed -n 's/^.*INCLUDES="-I\([^"]*\)".*$$/\1/p'))$(CUDA_INCLUDE)

SHIM := $(BUILD)/tests/cuda
SHIM_LIB := $(SHIM)/lib
shim_cudart_FILES = shim shim_device shim_event shim_memory shim_stream cudart_copy \
	cudart_device cudart_launch cudart_memory rig rig_usage
shim_cublas_FILES = cublas_calls cublas_handle
shim_cusolver_FILES = cusolver
shim_nvml_FILES = nvml rig rig_usage

# Never sanitized: they give the memory that they hold rights of its own.
SHIM_FLAGS = -O2 -g -fPIC -pthread -ffp-contract=off -I. -I$(BUILD) \
	-isystem $(CUDA_INCLUDE) -D_GNU_SOURCE
SHIM_C = $(CC) -std=gnu11 $(WARNINGS) $(SHIM_FLAGS) -MMD -MP
SHIM_CXX = $(CXX) -std=gnu++17 -Wall -Wextra -Wvla -Werror $(SHIM_FLAGS) -MMD -MP
# What a device would fault at or leave undefined.
KERNEL_SANITIZERS = -fsanitize=alignment,bounds,shift,integer-divide-by-zero \
	-fno-sanitize-recover=all

SHIM_LIBRARIES = $(SHIM_LIB)/libcudart.so.13 $(SHIM_LIB)/libcublas.so.13 \
	$(SHIM_LIB)/libcusolver.so.12 $(SHIM_LIB)/libnvidia-ml.so.1
# Simulated kernels: of the product, and of the tests of the simulator.
kernels_SOURCE = worker/engine/cuda_kernels.cuh
defects_SOURCE = tests/cuda/defects.cuh
SIMULATED = $(if $(wildcard $(kernels_SOURCE)),kernels) defects
SHIM_KERNELS = $(foreach k,$(SIMULATED),$(SHIM_LIB)/libgpusim_$(k).so \
	$(SHIM_LIB)/libgpusim_$(k)_checked.so)

.PHONY: cuda-libraries cuda-check cuda-defects
cuda-libraries: $(if $(filter 1,$(CUDA)),$(SHIM_LIBRARIES) $(SHIM_KERNELS))

$(SHIM)/flags: STAMP = $(SHIM_C) $(SHIM_CXX) $(KERNEL_SANITIZERS)
$(SHIM)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(STAMP))' | cmp -s - $@ || \
		printf '%s\n' '$(subst ','\'',$(STAMP))' >$@

$(SHIM)/%.o: tests/cuda/%.c $(SHIM)/flags
	@mkdir -p $(@D)
	$(if $(Q),@echo '  CC    $<')
	$(Q)$(SHIM_C) $(worker_CFLAGS) -c -o $@ $<
$(SHIM)/%.o: tests/cuda/%.cpp $(SHIM)/flags
	@mkdir -p $(@D)
	$(if $(Q),@echo '  CXX   $<')
	$(Q)$(SHIM_CXX) -c -o $@ $<

# The symbols carry the version that NVIDIA's have.
define shim_library
$$(SHIM_LIB)/$(2): $$(shim_$(1)_FILES:%=$$(SHIM)/%.o) $(3)
	@mkdir -p $$(@D)
	$$(if $$(Q),@echo '  LINK  $$@')
	@printf '%s { global: *; };\n' '$(subst -,_,$(2))' >$$(SHIM)/$(1).map
	$$(Q)$(CC) -shared -pthread -Wl,-soname,$(2) -Wl,--no-undefined \
		-Wl,--version-script=$$(SHIM)/$(1).map -o $$@ $$^ $(4)
endef
$(eval $(call shim_library,cudart,libcudart.so.13,,-ldl))
$(eval $(call shim_library,cublas,libcublas.so.13,$(SHIM_LIB)/libcudart.so.13,$$(worker_LIBS)))
$(eval $(call shim_library,cusolver,libcusolver.so.12,$(SHIM_LIB)/libcudart.so.13,$$(worker_LIBS)))
$(eval $(call shim_library,nvml,libnvidia-ml.so.1,,))

# PTX tells which kernels there are.
define simulated
$$(SHIM)/$(1).ptx: $$($(1)_SOURCE) $$(SHIM)/flags
	@mkdir -p $$(@D)
	$$(if $$(Q),@echo '  NVCC  $$<')
	$$(Q)$$(NVCC) -std=c++17 -arch=compute_75 -I. -x cu -ptx -MMD -MP \
		-MF $$@.d -MT $$@ -o $$@ $$<
$$(SHIM)/$(1)_list.inc: $$(SHIM)/$(1).ptx tests/cuda/kernels_of
	$$(Q)$$(PYTHON) tests/cuda/kernels_of $$< >$$@.new
	@mv $$@.new $$@
$$(SHIM)/$(1).o $$(SHIM)/$(1)_checked.o: tests/cuda/kernels.cpp $$(SHIM)/$(1)_list.inc
	$$(if $$(Q),@echo '  CXX   $$@')
	$$(Q)$$(SHIM_CXX) -Wno-unused-parameter -DKERNELS='"$$($(1)_SOURCE)"' \
		-DKERNEL_LIST='"tests/cuda/$(1)_list.inc"' $$(KERNEL_SANITIZERS) \
		$$(if $$(findstring _checked,$$@),-fsanitize=thread) -c -o $$@ $$<
$$(SHIM_LIB)/libgpusim_$(1).so: $$(SHIM)/$(1).o $$(SHIM)/gpusim.o $$(SHIM)/gpusim_plain.o
$$(SHIM_LIB)/libgpusim_$(1)_checked.so: $$(SHIM)/$(1)_checked.o $$(SHIM)/gpusim.o \
	$$(SHIM)/gpusim_check.o
-include $$(SHIM)/$(1).ptx.d
endef
$(foreach k,$(SIMULATED),$(eval $(call simulated,$(k))))
$(SHIM_LIB)/libgpusim_%.so:
	@mkdir -p $(@D)
	$(if $(Q),@echo '  LINK  $@')
	$(Q)$(CXX) -shared -Wl,--no-undefined \
		$(filter --coverage,$(KERNEL_SANITIZERS)) -o $@ $^ -ldl -lubsan

# The tests of all this: a program of known defects.
$(SHIM)/defects: tests/cuda/defects.cu tests/cuda/defects.cuh $(SHIM)/flags
	$(if $(Q),@echo '  NVCC  $<')
	$(Q)$(NVCC) -std=c++17 -O1 -arch=sm_75 -cudart=shared -I. -o $@ $< -lcublas -lcusolver
cuda-check: $(if $(filter 1,$(CUDA)),cuda-defects)
	$(if $(filter 1,$(CUDA)),,@echo '  no CUDA compiler (nvcc): nothing of tests/cuda is run')
cuda-defects: $(SHIM)/defects cuda-libraries
	@GAITD_BUILD='$(abspath $(BUILD))' PYTHONDONTWRITEBYTECODE=1 \
		$(PYTHON) -m pytest -p no:cacheprovider -q $(PYTEST) tests/cuda

-include $(wildcard $(SHIM)/*.d)
