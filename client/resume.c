/* Reconnecting to the daemon that was lost, and going on where we were.
 *
 * The good path: resume_begin holds the requests; resume_tick connects and says hello; the answer names the same instance, so ids
 * are still what they were: requests are said again, futures watched again, outputs followed from where they stood. It goes
 * wrong when nobody answers for too long, when another instance does (its ids begin anew, so nothing that we hold means anything
 * there), or when there is no memory: then all who wait are told, as without reconnecting. */
#include "client/resume.h"
#include "client/blocking.h"
#include "client/follow.h"
#include "client/packer.h"
#include "client/watch.h"

#include <stdio.h>
#include <string.h>

static const double PAUSE_FIRST = 0.02, PAUSE_MOST = 1;

void
resume_learn(struct futured *c, const struct futured_reply *reply)
{
	const char *s;
	size_t len;

	c->instance[0] = '\0';
	if (futured_find_text(reply->value, "instance", &s, &len) && len < sizeof c->instance)
		snprintf(c->instance, sizeof c->instance, "%.*s", (int)len, s);
}

static void
give_up(struct futured *c, enum futured_status status, const char *why)
{
	connection_hang_up(c);
	c->resume.active = false;
	core_end(&c->core, status, why);
}

static void
try_later(struct futured *c)
{
	connection_hang_up(c);
	c->resume.next = deadline_in(c->resume.pause);
	c->resume.pause = c->resume.pause * 2 < PAUSE_MOST ? c->resume.pause * 2 : PAUSE_MOST;
}

void
resume_begin(struct futured *c, const char *why)
{
	char text[256];

	snprintf(text, sizeof text, "%s; whether it was accepted is not known", why);
	if (!c->resume.active) {
		c->resume.since = deadline_in(0);
		c->resume.pause = PAUSE_FIRST;
	}
	c->resume.active = true;
	try_later(c);
	core_hold(&c->core, text);
	connection_changed(c);
}

/* ---- hello again ---- */

static void
go_on(struct futured *c)
{
	enum futured_status status;

	c->resume.active = false;
	connection_look(c);
	if ((status = core_resume(&c->core)) == FUTURED_OK)
		status = watch_resume(&c->core);
	if (status == FUTURED_OK)
		status = follow_resume(&c->core);
	if (status != FUTURED_OK)
		give_up(c, status, NULL);
}

static void
on_hello(struct futured *c, const struct futured_reply *reply, void *data)
{
	struct futured_value instance;

	(void)data;
	if (reply->status == FUTURED_LOST || c->core.ended != FUTURED_OK)
		return; /* lost again: resume_begin sees to it */
	if (reply->status != FUTURED_OK) {
		char text[256];

		snprintf(text, sizeof text, "%.*s", (int)reply->error.message_len, reply->error.message);
		give_up(c, reply->status, text);
	} else if (!futured_value_find(reply->value, "instance", &instance) || !futured_value_is_str(instance, c->instance))
		give_up(c, FUTURED_LOST, "the connection was lost, and another daemon answers now: its ids begin anew");
	else
		go_on(c);
}

static void
connect_again(struct futured *c)
{
	char address[sizeof c->address], why[256];
	enum futured_status status;
	struct futured_pack p;

	memcpy(address, c->address, sizeof address);
	status = connection_open(c, address, why, sizeof why);
	if (status == FUTURED_AUTHENTICATION) {
		give_up(c, status, why);
		return;
	}
	if (status != FUTURED_OK) {
		try_later(c);
		return;
	}
	packer_init(&p);
	status = connection_hello(c, &p);
	if (status == FUTURED_OK)
		status = core_hello(&c->core, &p, on_hello, NULL);
	packer_clear(&p);
	if (status != FUTURED_OK) {
		give_up(c, status, NULL);
		return;
	}
	c->resume.next = deadline_in(c->connect_timeout);
	connection_changed(c);
}

void
resume_tick(struct futured *c)
{
	double now = deadline_in(0);

	if (now >= c->resume.since + c->reconnect)
		give_up(c, FUTURED_LOST, "the connection to the daemon was lost, and none answers");
	else if (now >= c->resume.next && c->fd < 0)
		connect_again(c);
	else if (now >= c->resume.next)
		resume_begin(c, "the daemon does not answer");
}

int
resume_timeout_ms(const struct futured *c)
{
	double until = c->resume.since + c->reconnect;

	if (!c->resume.active || c->core.ended != FUTURED_OK)
		return -1;
	if (c->resume.next < until)
		until = c->resume.next;
	until = deadline_left(until);
	return until > 1e6 ? 1000000000 : (int)(until * 1000 + 0.999);
}
