/* A PKCS#11 library that misbehaves when a token is asked for: it hangs, crashes, or writes to standard output first and then
 * has no token. What it does stands in ODD_MODULE. All
 * other functions succeed and do nothing; the table is PKCS#11's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long rv_t;
typedef struct { unsigned char major, minor; } version_t;
typedef struct { version_t version; void *functions[68]; } list_t;

static rv_t fine(void *ignored) { (void)ignored; return 0; }

static rv_t slots(unsigned char present, unsigned long *ids, unsigned long *count) {
    const char *fault = getenv("ODD_MODULE");
    (void)present; (void)ids;
    if (fault && !strcmp(fault, "hang")) for (;;) pause();
    if (fault && !strcmp(fault, "crash")) abort();
    printf("{\"outcome\":\"done\",\"data\":\"AAAA\"}\n");
    fflush(stdout);
    *count = 0;
    return 0;
}

static list_t list;

rv_t C_GetFunctionList(list_t **found) {
    list.version.major = 2;
    list.version.minor = 40;
    for (int each = 0; each < 68; each++) list.functions[each] = (void *)fine;
    list.functions[3] = (void *)C_GetFunctionList;
    list.functions[4] = (void *)slots; /* C_GetSlotList */
    *found = &list;
    return 0;
}
