/* A future's handle as the library's own files see it. */
#ifndef FUTURED_CLIENT_FUTURE_H
#define FUTURED_CLIENT_FUTURE_H

#include "client/connection.h"

struct watch_job;
struct callback;

/* One iterator waits for one future. */
struct future_waiter {
	LIST_ENTRY(future_waiter) link; /* while the future is not done */
	void (*finished)(struct future_waiter *w);
	struct futured_future *future;
};

/*     begun --answer: id--> watched --done--> final
 *       |                      |                ^
 *       +------ refused, cancelled, lost -------+      */
struct futured_future {
	struct futured *c;                    /* NULL after futured_free */
	LIST_ENTRY(futured_future) all;       /* in c->futures */
	unsigned refs;                        /* the user's, iterators', and one of what will tell us the outcome */
	bool dropped;                         /* the user has freed it: nobody is called */
	bool final;
	bool owed;                            /* the last ref: a request or a watch mentions us */
	bool cancel;                          /* to be cancelled as soon as the id is there, */
	enum futured_how how;                 /* so */
	double grace;
	uint64_t id;                          /* 0: not known */
	enum futured_state state;             /* FUTURED_PENDING until it is final */
	struct futured_reply *outcome;        /* owned; once final */
	struct futured_reply *spare;          /* owned; the outcome where there is no memory for a copy */
	struct watch_job *job;                /* while the watch mentions us */
	struct callback *first, **last;
	LIST_HEAD(, future_waiter) waiters;
	void (*told)(struct futured_future *f, double done, double total, const char *note, size_t note_len, void *data);
	void *told_data;
};

void future_ref(struct futured_future *f);
void future_unref(struct futured_future *f);
/* As futured_future_submit_with; *out is new on FUTURED_OK. */
enum futured_status future_submit(struct futured *c, const char *pool, const char *fn, const struct futured_pack *args,
	const struct futured_options *options, struct futured_future **out);
/* Queues a cancel, as soon as the id is known; for one that is done: nothing. */
enum futured_status future_cancel_soon(struct futured_future *f, enum futured_how how, double grace);
/* The connection goes: whoever is not done is lost, and nobody is called. */
void futures_detach(struct futured *c);

#endif
