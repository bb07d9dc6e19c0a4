/* Futures in the order in which they finish: a watch that fills a queue, and a call that waits for its head. */
#include "client/blocking.h"
#include "client/connection.h"
#include "client/watch.h"

#include <stdlib.h>

struct finished {
	struct finished *next;
	uint64_t id;
	struct futured_reply *reply; /* NULL: no memory to keep it */
};

struct futured_completed {
	struct futured *c;
	struct watch_job *job; /* while left > 0 */
	struct finished *first, **last;
	size_t left; /* still to come */
	bool missed; /* there was no memory to note one */
	double deadline;
	uint64_t ids[];
};

static void
on_done(struct futured *c, uint64_t id, const struct futured_reply *reply, void *data)
{
	struct futured_completed *i = data;
	struct finished *f = calloc(1, sizeof *f);

	(void)c;
	i->left--;
	if (f == NULL) {
		i->missed = true;
		return;
	}
	f->id = id;
	f->reply = futured_reply_copy(reply);
	*i->last = f;
	i->last = &f->next;
}

static int
by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

struct futured_completed *
futured_completed_new(struct futured *c, const uint64_t *ids, size_t n, double timeout)
{
	struct futured_completed *i = NULL;
	enum futured_status status = connection_check(c);
	size_t unique = 0;

	if (status != FUTURED_OK)
		return NULL;
	if (n > SIZE_MAX / sizeof *ids / 2 || (i = calloc(1, sizeof *i + n * sizeof *ids)) == NULL) {
		connection_failed(c, FUTURED_NO_MEMORY, NULL);
		return NULL;
	}
	for (size_t j = 0; j < n; j++)
		i->ids[j] = ids[j];
	qsort(i->ids, n, sizeof *i->ids, by_value);
	for (size_t j = 0; j < n; j++)
		if (unique == 0 || i->ids[unique - 1] != i->ids[j])
			i->ids[unique++] = i->ids[j];
	i->c = c;
	i->last = &i->first;
	i->left = unique;
	i->deadline = deadline_in(timeout);
	if (unique > 0 && (status = watch_add(&c->core, i->ids, unique, true, on_done, i, &i->job)) != FUTURED_OK) {
		connection_failed(c, status, NULL);
		free(i);
		return NULL;
	}
	return i;
}

enum futured_status
futured_completed_next(struct futured_completed *i, uint64_t *id, struct futured_reply **reply)
{
	struct finished *f;

	while (i->first == NULL && i->left > 0) {
		enum futured_status status = deadline_step(i->c, i->deadline);

		if (i->first == NULL && status != FUTURED_OK)
			return status;
	}
	if ((f = i->first) == NULL && !i->missed)
		return FUTURED_END;
	if (f == NULL || f->reply == NULL)
		return connection_failed(i->c, FUTURED_NO_MEMORY, NULL);
	if ((i->first = f->next) == NULL)
		i->last = &i->first;
	*id = f->id;
	if (reply != NULL)
		*reply = f->reply;
	else
		futured_reply_free(f->reply);
	free(f);
	return FUTURED_OK;
}

void
futured_completed_free(struct futured_completed *i)
{
	struct finished *f;

	if (i == NULL)
		return;
	if (i->left > 0)
		watch_cancel(i->job);
	while ((f = i->first) != NULL) {
		i->first = f->next;
		futured_reply_free(f->reply);
		free(f);
	}
	free(i);
}
