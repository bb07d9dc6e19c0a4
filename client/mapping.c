/* Map: futures of items in a row, submitted ahead and told in order. */
#include "client/blocking.h"
#include "client/future.h"
#include "client/packer.h"
#include "client/settings.h"

#include <stdlib.h>
#include <string.h>

enum { RELEASE_AT_ONCE = 64 };

struct mapped {
	STAILQ_ENTRY(mapped) link;
	struct futured_future *future;
};

struct futured_mapping {
	struct futured *c;
	char *pool, *fn;
	struct futured_options *options;
	int (*item)(struct futured_pack *args, void *data);
	void *data;
	double deadline;
	bool exhausted; /* there are no more items */
	bool closed;
	STAILQ_HEAD(, mapped) ahead; /* submitted, in order */
	struct mapped *told;         /* its outcome is lent to the caller */
	uint64_t release[RELEASE_AT_ONCE];
	size_t releases;
};

static void
mapped_free(struct mapped *d)
{
	if (d != NULL)
		futured_future_free(d->future);
	free(d);
}

/* Lets the daemon forget what has been told: nobody else knows these ids. */
static void
release(struct futured_mapping *m)
{
	struct futured_pack p;

	if (m->releases == 0)
		return;
	packer_init(&p);
	futured_pack_ids(&p, m->release, m->releases);
	core_request(&m->c->core, "release", &p, NULL, NULL, NULL);
	packer_clear(&p);
	m->releases = 0;
}

/* One more item, where there is one. */
static enum futured_status
submit_one(struct futured_mapping *m)
{
	enum futured_status status;
	struct mapped *d;
	struct futured_pack args;
	int more;

	if (m->exhausted)
		return FUTURED_OK;
	packer_init(&args);
	more = m->item(&args, m->data);
	if (more <= 0) {
		m->exhausted = true;
		packer_clear(&args);
		return more == 0 ? FUTURED_OK : connection_failed(m->c, FUTURED_VALUE, "there was an error in an item of the map");
	}
	if ((d = calloc(1, sizeof *d)) != NULL)
		status = future_submit(m->c, m->pool, m->fn, &args, m->options, &d->future);
	else
		status = connection_failed(m->c, FUTURED_NO_MEMORY, NULL);
	packer_clear(&args);
	if (status != FUTURED_OK) {
		free(d);
		m->exhausted = true;
		return status;
	}
	STAILQ_INSERT_TAIL(&m->ahead, d, link);
	return FUTURED_OK;
}

static void
forget(struct futured_mapping *m)
{
	struct mapped *d;

	while ((d = STAILQ_FIRST(&m->ahead)) != NULL) {
		STAILQ_REMOVE_HEAD(&m->ahead, link);
		mapped_free(d);
	}
	mapped_free(m->told);
	futured_options_free(m->options);
	free(m->pool);
	free(m->fn);
	free(m);
}

struct futured_mapping *
futured_mapping_new(struct futured *c, const char *pool, const char *fn, int (*item)(struct futured_pack *args, void *data),
	void *data, const struct futured_options *options, size_t ahead, double timeout)
{
	enum futured_status status = connection_check(c);
	struct futured_mapping *m;

	if (status != FUTURED_OK)
		return NULL;
	if ((m = calloc(1, sizeof *m)) == NULL) {
		connection_failed(c, FUTURED_NO_MEMORY, NULL);
		return NULL;
	}
	STAILQ_INIT(&m->ahead);
	m->c = c;
	m->item = item;
	m->data = data;
	m->deadline = deadline_in(timeout);
	m->pool = strdup(pool);
	m->fn = strdup(fn);
	m->options = options_copy(options);
	if (m->pool == NULL || m->fn == NULL || m->options == NULL)
		status = connection_failed(c, FUTURED_NO_MEMORY, NULL);
	for (size_t i = 0; status == FUTURED_OK && !m->exhausted && (ahead == 0 || i < ahead); i++)
		status = submit_one(m);
	if (status == FUTURED_OK)
		return m;
	forget(m);
	return NULL;
}

static void
give_back(struct futured_mapping *m)
{
	uint64_t id;

	if (m->told == NULL)
		return;
	id = m->told->future->id;
	if (id != 0 && futured_future_outcome(m->told->future)->status != FUTURED_LOST)
		m->release[m->releases++] = id;
	mapped_free(m->told);
	m->told = NULL;
	if (m->releases == RELEASE_AT_ONCE)
		release(m);
}

enum futured_status
futured_mapping_next(struct futured_mapping *m, const struct futured_reply **reply)
{
	enum futured_status status;
	struct mapped *d;

	*reply = NULL;
	give_back(m);
	if (m->closed)
		return FUTURED_END;
	status = submit_one(m);
	if (status == FUTURED_OK && (d = STAILQ_FIRST(&m->ahead)) == NULL) {
		futured_mapping_close(m);
		return FUTURED_END;
	}
	if (status == FUTURED_OK) {
		enum futured_status waited = futured_future_result(d->future, deadline_left(m->deadline), NULL);

		if (!d->future->final)
			status = waited;
	}
	if (status != FUTURED_OK) {
		if (status != FUTURED_INVALID_STATE)
			futured_mapping_close(m);
		return status;
	}
	STAILQ_REMOVE_HEAD(&m->ahead, link);
	m->told = d;
	*reply = futured_future_outcome(d->future);
	return FUTURED_OK;
}

void
futured_mapping_close(struct futured_mapping *m)
{
	struct mapped *d;

	m->closed = m->exhausted = true;
	while ((d = STAILQ_FIRST(&m->ahead)) != NULL) {
		STAILQ_REMOVE_HEAD(&m->ahead, link);
		future_cancel_soon(d->future, FUTURED_CANCEL_PENDING, -1);
		mapped_free(d);
	}
	release(m);
}

void
futured_mapping_free(struct futured_mapping *m)
{
	if (m == NULL)
		return;
	give_back(m);
	futured_mapping_close(m);
	forget(m);
}
