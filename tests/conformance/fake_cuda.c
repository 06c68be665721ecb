/* A CUDA driver for tests: one GPU whose memory is this machine's. It counts what is allocated, and can be told to fail. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int allocated = 0, current = 0, fail_in = -1;

int allocations(void) { return allocated; }
void fail_after(int calls) { fail_in = calls; }
static int fails(void) { return fail_in >= 0 && fail_in-- == 0; }

int cuInit(unsigned flags) { return flags ? 1 : 0; }
int cuGetErrorName(int code, const char **text) { *text = code == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_INVALID_VALUE"; return 0; }
int cuDriverGetVersion(int *version) { *version = 12080; return 0; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDeviceGet(int *device, int index) { *device = 40 + index; return index ? 101 : 0; }
int cuDeviceGetName(char *name, int size, int device) { strncpy(name, "Test GPU", size); return device == 40 ? 0 : 101; }
int cuDeviceGetAttribute(int *value, int attribute, int device) { *value = attribute == 75 ? 8 : attribute == 76 ? 9 : -1; return device == 40 ? 0 : 101; }
int cuDevicePrimaryCtxRetain(void **context, int device) { *context = malloc(8); allocated++; return device == 40 ? 0 : 101; }
int cuDevicePrimaryCtxRelease_v2(int device) { allocated--; current = 0; return device == 40 ? 0 : 101; }
int cuCtxSetCurrent(void *context) { current = context != NULL; return 0; }
int cuStreamCreate(void **stream, unsigned flags) { *stream = malloc(8); allocated++; return current && flags == 1 ? 0 : 1; }
int cuStreamDestroy_v2(void *stream) { free(stream); allocated--; return 0; }
int cuStreamSynchronize(void *stream) { return stream ? 0 : 1; }
int cuMemAlloc_v2(uint64_t *address, size_t size) { if (fails()) return 2; *address = (uint64_t)malloc(size); allocated++; return current ? 0 : 1; }
int cuMemFree_v2(uint64_t address) { free((void *)address); allocated--; return 0; }
int cuMemHostAlloc(void **address, size_t size, unsigned flags) { if (fails()) return 2; *address = malloc(size); allocated++; return flags ? 1 : 0; }
int cuMemFreeHost(void *address) { free(address); allocated--; return 0; }
int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t size, void *stream) { memcpy((void *)to, from, size); return stream ? 0 : 1; }
int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t size, void *stream) { memcpy(to, (void *)from, size); return stream ? 0 : 1; }
