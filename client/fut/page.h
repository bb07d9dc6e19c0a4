/* A future, as a page that a person reads. */
#ifndef FUT_PAGE_H
#define FUT_PAGE_H

#include "client/fut/fut.h"

void page_future(struct fut *f, struct futured_value map);
/* What it is doing, or why it is not running: one sentence, new. */
char *page_state(struct futured_value map);

#endif
