/* Stands in for NVML: one GPU, whose XIDs are the bytes written to the FIFO that FAKE_NVML_XIDS names. */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, TIMEOUT = 10, XID_CRITICAL_ERROR = 8 };

typedef struct { void *device; unsigned long long type, data; unsigned int gpu_instance, compute_instance; } event_t;

static int gpu, set, fifo = -1;

int nvmlInit_v2(void) {
    if (fifo < 0) fifo = open(getenv("FAKE_NVML_XIDS"), O_RDWR);
    return fifo < 0 ? INVALID_ARGUMENT : SUCCESS;
}
int nvmlShutdown(void) { return SUCCESS; }
int nvmlEventSetCreate(void **made) { *made = &set; return SUCCESS; }
int nvmlEventSetFree(void *freed) { return freed == &set ? SUCCESS : INVALID_ARGUMENT; }
int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 1; return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device) {
    *device = &gpu;
    return index ? INVALID_ARGUMENT : SUCCESS;
}
int nvmlDeviceRegisterEvents(void *device, unsigned long long types, void *events) {
    return device == &gpu && types == XID_CRITICAL_ERROR && events == &set ? SUCCESS : INVALID_ARGUMENT;
}
int nvmlEventSetWait_v2(void *events, event_t *event, unsigned int timeout_ms) {
    struct pollfd waiting = {fifo, POLLIN, 0};
    unsigned char xid;
    if (events != &set) return INVALID_ARGUMENT;
    if (poll(&waiting, 1, timeout_ms) != 1 || read(fifo, &xid, 1) != 1) return TIMEOUT;
    *event = (event_t){&gpu, XID_CRITICAL_ERROR, xid, ~0u, ~0u};
    return SUCCESS;
}
