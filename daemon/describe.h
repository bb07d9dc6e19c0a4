/* Futures and pools put into words: the maps of list, show, pools and events. */
#ifndef FUTURED_DAEMON_DESCRIBE_H
#define FUTURED_DAEMON_DESCRIBE_H

#include "daemon/future.h"
#include "daemon/pool.h"
#include "proto/buf.h"

enum describe_how {
	DESCRIBE_ROW,   /* `list` */
	DESCRIBE_ERROR, /* `failures`: with the error */
	DESCRIBE_WHOLE, /* `show` */
	DESCRIBE_OWN,   /* `show`, for whoever it belongs to: also what of it may be secret */
};

void describe_future(struct buf *b, struct future *f, enum describe_how how);
void describe_pool(struct buf *b, struct pool *p);

#endif
