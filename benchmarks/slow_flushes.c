/* Preloaded into a database server: each flush to the disk takes FLUSH_DELAY_US microseconds longer, as on a disk behind a network. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static void wait_for_disk(void) {
    const char *text = getenv("FLUSH_DELAY_US");
    long delay_us = text ? atol(text) : 0;
    struct timespec left = {delay_us / 1000000, delay_us % 1000000 * 1000};
    while (nanosleep(&left, &left) != 0) {
    }
}

int fsync(int file) {
    int result = ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(file);
    wait_for_disk();
    return result;
}

int fdatasync(int file) {
    int result = ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(file);
    wait_for_disk();
    return result;
}
