/* Why a future is pending: a stable code, a sentence with numbers, and these numbers. */
#ifndef FUTURED_DAEMON_WHY_H
#define FUTURED_DAEMON_WHY_H

#include "daemon/future.h"
#include "proto/buf.h"

/* Appends a map: `code`, `message`, and where there is one `ahead`, `seconds`, `future`, `until`, `since`, `by`. */
void why_pack(struct buf *b, const struct future *f);

#endif
