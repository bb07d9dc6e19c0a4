/* Several futures at once: wait, and as_completed. */
#include "client/blocking.h"
#include "client/future.h"

#include <stdlib.h>

static bool
has_failed(const struct futured_future *f)
{
	return f->outcome->status != FUTURED_OK && f->state != FUTURED_STATE_CANCELLED;
}

static bool
holds(struct futured_future *const *fs, size_t n, enum futured_when when)
{
	bool all = true;

	for (size_t i = 0; i < n; i++)
		if (!fs[i]->final)
			all = false;
		else if (when == FUTURED_FIRST_COMPLETED || (when == FUTURED_FIRST_EXCEPTION && has_failed(fs[i])))
			return true;
	return all;
}

enum futured_status
futured_future_wait(struct futured_future *const *fs, size_t n, enum futured_when when, double timeout, bool *done)
{
	double deadline = deadline_in(timeout);

	if ((unsigned)when > FUTURED_FIRST_EXCEPTION)
		return FUTURED_VALUE;
	for (size_t i = 1; i < n; i++)
		if (fs[i]->c != fs[0]->c)
			return FUTURED_VALUE;
	while (!holds(fs, n, when)) {
		enum futured_status status = deadline_step(fs[0]->c, deadline);

		if (status == FUTURED_TIMEOUT)
			break;
		if (status != FUTURED_OK && !holds(fs, n, when))
			return status;
	}
	for (size_t i = 0; done != NULL && i < n; i++)
		done[i] = fs[i]->final;
	return FUTURED_OK;
}

/* ---- as_completed ---- */

struct slot {
	struct future_waiter waiter; /* first: the waiter is the slot */
	struct futured_as_completed *of;
	struct slot *next; /* finished, not given yet */
};

struct futured_as_completed {
	struct slot *first, **last;
	size_t left, n;
	double deadline;
	struct futured *c;
	struct slot slots[];
};

static void
on_finished(struct future_waiter *w)
{
	struct slot *s = (struct slot *)w;

	s->next = NULL;
	*s->of->last = s;
	s->of->last = &s->next;
}

static int
by_address(const void *a, const void *b)
{
	struct futured_future *const *x = a, *const *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void
add(struct futured_as_completed *i, struct futured_future *f)
{
	struct slot *s = &i->slots[i->n++];

	future_ref(f);
	s->of = i;
	s->waiter.future = f;
	s->waiter.finished = on_finished;
	if (f->final)
		on_finished(&s->waiter);
	else
		LIST_INSERT_HEAD(&f->waiters, &s->waiter, link);
}

struct futured_as_completed *
futured_as_completed_new(struct futured_future *const *fs, size_t n, double timeout)
{
	struct futured_as_completed *i = NULL;
	struct futured_future **sorted = calloc(n + 1, sizeof(struct futured_future *));

	if (sorted == NULL || n > SIZE_MAX / sizeof *i->slots / 2 || (i = calloc(1, sizeof *i + n * sizeof *i->slots)) == NULL)
		goto out;
	i->last = &i->first;
	i->deadline = deadline_in(timeout);
	i->c = n > 0 ? fs[0]->c : NULL;
	for (size_t k = 0; k < n; k++) {
		sorted[k] = fs[k];
		if (fs[k]->c != i->c) {
			free(i);
			i = NULL;
			goto out;
		}
	}
	qsort(sorted, n, sizeof(struct futured_future *), by_address);
	for (size_t k = 0; k < n; k++)
		if (k == 0 || sorted[k] != sorted[k - 1])
			add(i, sorted[k]);
	i->left = i->n;
out:
	free(sorted);
	return i;
}

enum futured_status
futured_as_completed_next(struct futured_as_completed *i, struct futured_future **f)
{
	if (i->left == 0)
		return FUTURED_END;
	while (i->first == NULL) {
		enum futured_status status = deadline_step(i->c, i->deadline);

		if (i->first == NULL && status != FUTURED_OK)
			return status;
	}
	*f = i->first->waiter.future;
	if ((i->first = i->first->next) == NULL)
		i->last = &i->first;
	i->left--;
	return FUTURED_OK;
}

size_t
futured_as_completed_left(const struct futured_as_completed *i)
{
	return i->left;
}

void
futured_as_completed_free(struct futured_as_completed *i)
{
	if (i == NULL)
		return;
	for (size_t k = 0; k < i->n; k++) {
		struct futured_future *f = i->slots[k].waiter.future;

		if (!f->final)
			LIST_REMOVE(&i->slots[k].waiter, link);
		future_unref(f);
	}
	free(i);
}
