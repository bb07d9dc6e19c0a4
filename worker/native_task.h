/* A task as its C function sees it (futured_task.h), and how it becomes an answer. */
#ifndef FUTURED_WORKER_NATIVE_TASK_H
#define FUTURED_WORKER_NATIVE_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/futured_task.h"
#include "worker/host.h"
#include "worker/slot.h"

/* What the function has said so far. */
enum native_said {
	SAID_NOTHING,
	SAID_VALUE,  /* put something */
	SAID_WRONG,  /* a futured_arg_ function said false; a put after it takes it back */
	SAID_ERROR,  /* futured_fail */
	SAID_DATA,   /* futured_fail, then put something */
};

/* One per slot, used again for every task. */
struct futured_task {
	struct slot *slot;
	struct host *host;
	enum native_said said;
	unsigned puts;         /* calls of futured_put_ for the value at `start` */
	bool nested;           /* one of them was an array, a map or raw: it needs a look */
	size_t start;          /* where that value begins in the answer */
	size_t error_map;      /* SAID_ERROR: where the error's map begins */
	size_t cursor_index;   /* the argument that `cursor` stands at, so that reading them in order is linear */
	struct reader cursor;
	char secret[256];
	bool secret_known;
};

/* Makes it ready for the slot's next task. */
void native_task_begin(struct futured_task *t);
/* Turns what the function returned, and what it has said, into the slot's answer. */
void native_task_finish(struct futured_task *t, int returned);

#endif
