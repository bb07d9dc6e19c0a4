/* What is the same for every verb: the common options, and finding a verb. */
#ifndef FUT_COMMON_H
#define FUT_COMMON_H

#include "client/fut/fut.h"

extern const struct option_row common_options[];
/* Takes a common option; 1 taken, 0 not one of them, -1 wrong (said). Help is the caller's. */
int common_take(struct fut *f, int key, const char *value);
/* auto, always or never. */
bool common_color(struct fut *f, const char *when);

#endif
