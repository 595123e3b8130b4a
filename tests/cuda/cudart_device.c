/* cudart_device.c: devices and their properties, as cudart's callers see them.
 *
 * The limits are those of compute capability 7.5 (CUDA C++ programming guide,
 * "Technical Specifications per Compute Capability"), the oldest supported. */
#include <stdio.h>
#include <string.h>

#include "tests/cuda/rig.h"
#include "tests/cuda/shim_inside.h"

static const struct {
    enum cudaDeviceAttr attribute;
    int value;
} attributes[] = {
    {cudaDevAttrMaxThreadsPerBlock, 1024},
    {cudaDevAttrMaxBlockDimX, 1024},
    {cudaDevAttrMaxBlockDimY, 1024},
    {cudaDevAttrMaxBlockDimZ, 64},
    {cudaDevAttrMaxGridDimX, 2147483647},
    {cudaDevAttrMaxGridDimY, 65535},
    {cudaDevAttrMaxGridDimZ, 65535},
    {cudaDevAttrMaxSharedMemoryPerBlock, 49152},
    {cudaDevAttrWarpSize, 32},
    {cudaDevAttrMaxRegistersPerBlock, 65536},
    {cudaDevAttrMultiProcessorCount, 4},
    {cudaDevAttrMaxThreadsPerMultiProcessor, 1024},
    {cudaDevAttrUnifiedAddressing, 1},
    {cudaDevAttrMemoryPoolsSupported, 1},
    {cudaDevAttrConcurrentKernels, 1},
    {cudaDevAttrAsyncEngineCount, 2},
    {cudaDevAttrIntegrated, 0},
    {cudaDevAttrCooperativeLaunch, 0},
    {cudaDevAttrManagedMemory, 0},
    {cudaDevAttrEccEnabled, 1},
    {cudaDevAttrComputeMode, cudaComputeModeDefault},
};

static cudaError_t valid(int device)
{
    cudaError_t error = device_available();
    if (error == cudaSuccess && (device < 0 || device >= device_count())) {
        error = cudaErrorInvalidDevice;
    }
    return error;
}

static const struct rig_gpu *gpu_of(int device)
{
    return &rig_now()->gpus[device_rig(device)];
}

/* Without a driver or a device the result is not written. */
cudaError_t cudaGetDeviceCount(int *count)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    cudaError_t error = code != 0 ? (cudaError_t)code : device_available();
    if (error == cudaSuccess) {
        *count = device_count();
    }
    return error_note(error);
}

cudaError_t cudaGetDevice(int *device)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    cudaError_t error = code != 0 ? (cudaError_t)code : device_available();
    if (error == cudaSuccess) {
        *device = shim_device();
    }
    return error_note(error);
}

/* "This function will also immediately initialize the runtime state on the
 * primary context". */
cudaError_t cudaSetDevice(int device)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    cudaError_t error = code != 0 ? (cudaError_t)code : valid(device);
    if (error == cudaSuccess) {
        error = (cudaError_t)shim_device_error(device);
    }
    if (error == cudaSuccess) {
        device_create_context(device);
    }
    return error_note(error);
}

cudaError_t cudaSetDeviceFlags(unsigned flags)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    (void)flags;
    return error_note(code != 0 ? (cudaError_t)code : device_available());
}

/* GPU-11111111-2222-... as 16 bytes */
static void parse_uuid(const char *text, cudaUUID_t *uuid)
{
    int count = 0, half = 0, byte = 0;
    const char *at = strchr(text, '-');
    memset(uuid, 0, sizeof *uuid);
    for (; at != NULL && *at != '\0' && count < 16; at++) {
        const char *digits = "0123456789abcdef";
        const char *digit = strchr(digits, *at | 0x20);
        if (*at == '-' || digit == NULL) {
            continue;
        }
        byte = byte * 16 + (int)(digit - digits);
        half = !half;
        if (!half) {
            uuid->bytes[count++] = (char)byte;
            byte = 0;
        }
    }
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *to, int device)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    cudaError_t error = code != 0 ? (cudaError_t)code : valid(device);
    if (error != cudaSuccess) {
        return error_note(error);
    }
    const struct rig_gpu *gpu = gpu_of(device);
    *to = (struct cudaDeviceProp){
        .totalGlobalMem = gpu->memory_bytes,
        .sharedMemPerBlock = 49152,
        .sharedMemPerBlockOptin = 65536,
        .sharedMemPerMultiprocessor = 65536,
        .regsPerBlock = 65536,
        .regsPerMultiprocessor = 65536,
        .warpSize = 32,
        .maxThreadsPerBlock = 1024,
        .maxThreadsDim = {1024, 1024, 64},
        .maxGridSize = {2147483647, 65535, 65535},
        .maxThreadsPerMultiProcessor = 1024,
        .maxBlocksPerMultiProcessor = 16,
        .multiProcessorCount = 4,
        .major = gpu->major,
        .minor = gpu->minor,
        .ECCEnabled = 1,
        .pciBusID = gpu->number + 1,
        .unifiedAddressing = 1,
        .memoryPoolsSupported = 1,
        .concurrentKernels = 1,
        .asyncEngineCount = 2,
        .hostRegisterSupported = 1,
    };
    snprintf(to->name, sizeof to->name, "%s", gpu->name);
    parse_uuid(gpu->uuid, &to->uuid);
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute,
                                   int device)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    cudaError_t error = code != 0 ? (cudaError_t)code : valid(device);
    if (error != cudaSuccess) {
        return error_note(error);
    }
    if (attribute == cudaDevAttrComputeCapabilityMajor ||
        attribute == cudaDevAttrComputeCapabilityMinor) {
        *value = attribute == cudaDevAttrComputeCapabilityMajor
                     ? gpu_of(device)->major
                     : gpu_of(device)->minor;
        return cudaSuccess;
    }
    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++) {
        if (attributes[i].attribute == attribute) {
            *value = attributes[i].value;
            return cudaSuccess;
        }
    }
    shim_defect("%s: attribute %d is not replaced", __func__, attribute);
    return error_note(cudaErrorInvalidValue);
}

cudaError_t cudaDeviceGetPCIBusId(char *to, int room, int device)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    cudaError_t error = code != 0 ? (cudaError_t)code : valid(device);
    if (error == cudaSuccess) {
        /* NVML's bus numbers have eight digits of domain, these four. */
        snprintf(to, (size_t)room, "%s", gpu_of(device)->bus + 4);
    }
    return error_note(error);
}

/* 0 where there is no driver (measured; it never fails). */
cudaError_t cudaDriverGetVersion(int *version)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    if (code == 0) {
        *version = rig_now()->cuda_version;
    }
    return error_note((cudaError_t)code);
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    SHIM_ENTER(code, cudaErrorUnknown);
    if (code == 0) {
        *version = CUDART_VERSION;
    }
    return error_note((cudaError_t)code);
}

static const struct {
    cudaError_t error;
    const char *name, *text;
} errors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration",
     "invalid configuration argument"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorStubLibrary, "cudaErrorStubLibrary",
     "CUDA driver is a stub library"},
    {cudaErrorDevicesUnavailable, "cudaErrorDevicesUnavailable",
     "CUDA-capable device(s) is/are busy or unavailable"},
    {cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction",
     "invalid device function"},
    {cudaErrorNoDevice, "cudaErrorNoDevice",
     "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice",
     "invalid device ordinal"},
    {cudaErrorECCUncorrectable, "cudaErrorECCUncorrectable",
     "uncorrectable ECC error encountered"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle",
     "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress",
     "an illegal memory access was encountered"},
    {cudaErrorLaunchOutOfResources, "cudaErrorLaunchOutOfResources",
     "too many resources requested for launch"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure",
     "unspecified launch failure"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
};

const char *cudaGetErrorString(cudaError_t error)
{
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        if (errors[i].error == error) {
            return errors[i].text;
        }
    }
    return "unrecognized error code";
}

const char *cudaGetErrorName(cudaError_t error)
{
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        if (errors[i].error == error) {
            return errors[i].name;
        }
    }
    return "unrecognized error code";
}
