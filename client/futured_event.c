/* A connection on a libevent loop: one event for its descriptor, one timer for what it wants to do later. What it wants may change
 * with every request, so a request only makes the timer due; the loop then asks once, and what was queued in one turn is written
 * together. */
#include "client/futured_event.h"

#include <poll.h>
#include <stdlib.h>

#include <event2/event.h>

struct futured_event {
	struct futured *c;
	struct event_base *base;
	struct event *io;    /* NULL while there is no descriptor */
	int fd;              /* of `io`, */
	short events;        /* which waits for this */
	struct event *timer;
	void (*ended)(struct futured *c, enum futured_status why, void *data);
	void *data;
	bool busy;           /* inside futured_process: */
	bool freed;          /* then freeing waits until that returns */
};

static void turn(evutil_socket_t fd, short what, void *data);

static void
drop_io(struct futured_event *e)
{
	if (e->io != NULL)
		event_free(e->io);
	e->io = NULL;
	e->fd = -1;
}

static void
destroy(struct futured_event *e)
{
	drop_io(e);
	event_free(e->timer);
	free(e);
}

/* Waits for what the connection wants now. Without memory for an event it tries again a little later. */
static void
arm(struct futured_event *e)
{
	int fd = futured_fd(e->c), ms = futured_timeout_ms(e->c);
	short events = (short)(EV_READ | (futured_events(e->c) & POLLOUT ? EV_WRITE : 0));
	struct timeval tv;

	if (fd != e->fd || events != e->events)
		drop_io(e);
	if (fd >= 0 && e->io == NULL) {
		e->io = event_new(e->base, fd, (short)(events | EV_PERSIST), turn, e);
		if (e->io == NULL || event_add(e->io, NULL) < 0) {
			drop_io(e);
			ms = 10;
		} else {
			e->fd = fd;
			e->events = events;
		}
	}
	if (ms < 0) {
		event_del(e->timer);
		return;
	}
	tv.tv_sec = ms / 1000;
	tv.tv_usec = ms % 1000 * 1000;
	event_add(e->timer, &tv);
}

static void
turn(evutil_socket_t fd, short what, void *data)
{
	struct futured_event *e = data;
	enum futured_status status;

	(void)fd;
	(void)what;
	e->busy = true;
	status = futured_process(e->c);
	e->busy = false;
	if (e->freed) {
		destroy(e);
		return;
	}
	if (status == FUTURED_OK) {
		arm(e);
		return;
	}
	drop_io(e);
	event_del(e->timer);
	if (e->ended != NULL) {
		void (*ended)(struct futured *, enum futured_status, void *) = e->ended;

		e->ended = NULL;
		ended(e->c, status, e->data);
	}
}

static void
on_wanted(struct futured *c, void *data)
{
	struct futured_event *e = data;

	(void)c;
	if (!e->busy && !e->freed)
		event_active(e->timer, EV_TIMEOUT, 0);
}

struct futured_event *
futured_event_new(struct futured *c, struct event_base *base,
	void (*ended)(struct futured *c, enum futured_status why, void *data), void *data)
{
	struct futured_event *e = calloc(1, sizeof *e);

	if (e == NULL || (e->timer = event_new(base, -1, 0, turn, e)) == NULL) {
		free(e);
		return NULL;
	}
	e->c = c;
	e->base = base;
	e->fd = -1;
	e->ended = ended;
	e->data = data;
	futured_on_wanted(c, on_wanted, e);
	arm(e);
	return e;
}

void
futured_event_free(struct futured_event *e)
{
	if (e == NULL)
		return;
	futured_on_wanted(e->c, NULL, NULL);
	if (e->busy)
		e->freed = true;
	else
		destroy(e);
}
