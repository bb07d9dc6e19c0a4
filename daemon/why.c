#include "daemon/why.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/clock.h"
#include "daemon/gate.h"
#include "daemon/owner.h"
#include "daemon/pool.h"
#include "daemon/queue.h"
#include "daemon/registry.h"
#include "daemon/slot.h"
#include "proto/pack.h"
#include "proto/reader.h"
#include "proto/utf8.h"

enum { SPAN_TEXT = 32 };

/* What there is to say; 0, negative or NULL where there is nothing. */
struct why {
	const char *code;
	char message[512];
	uint64_t ahead;   /* how many are in front of it at most */
	bool has_ahead;
	double seconds;   /* until it starts, as far as that can be told */
	uint64_t future;  /* that it waits for */
	uint64_t until_us, since_us;
	const char *by;
};

static void say(struct why *w, const char *code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void
say(struct why *w, const char *code, const char *fmt, ...)
{
	va_list ap;

	w->code = code;
	va_start(ap, fmt);
	vsnprintf(w->message, sizeof w->message, fmt, ap);
	va_end(ap);
}

static void add(struct why *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
add(struct why *w, const char *fmt, ...)
{
	size_t len = strlen(w->message);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w->message + len, sizeof w->message - len, fmt, ap);
	va_end(ap);
}

/* A span in a person's words. */
static const char *
span(char text[SPAN_TEXT], double s)
{
	if (s < 0)
		s = 0;
	if (s < 0.0995)
		snprintf(text, SPAN_TEXT, "%.0f ms", s * 1000);
	else if (s < 9.95)
		snprintf(text, SPAN_TEXT, "%.1f s", s);
	else if (s < 99.5)
		snprintf(text, SPAN_TEXT, "%.0f s", s);
	else if (s < 5970)
		snprintf(text, SPAN_TEXT, "%.0f min", s / 60);
	else if (s < 48 * 3600)
		snprintf(text, SPAN_TEXT, "%.0f h", s / 3600);
	else
		snprintf(text, SPAN_TEXT, "%.0f d", s / 86400);
	return text;
}

static double
seconds_until(uint64_t us)
{
	uint64_t now = clock_now();

	return us > now ? (double)(us - now) / 1e6 : 0;
}

static void
why_broken(struct why *w, const struct pool *p)
{
	struct reader r;
	const char *key, *s;
	size_t key_len, len;
	uint32_t pairs;
	char text[SPAN_TEXT];

	say(w, "broken", "pool %s is broken", p->name);
	reader_init(&r, bytes_data(&p->broken), bytes_len(&p->broken));
	if (read_map(&r, &pairs))
		while (pairs-- && read_text(&r, &key, &key_len)) {
			if (key_len == 7 && memcmp(key, "message", 7) == 0 && read_text(&r, &s, &len)) {
				add(w, ": %.*s", (int)utf8_valid_prefix(s, len < 300 ? len : 300), s);
				break;
			}
			if (!read_skip(&r))
				break;
		}
	w->until_us = p->broken_until_us;
	add(w, "; the next try is in %s", span(text, seconds_until(p->broken_until_us)));
}

static void
why_paused(struct why *w, const struct pool *p)
{
	char text[SPAN_TEXT];

	say(w, "paused", "pool %s was paused %s ago", p->name, span(text, (double)(clock_now() - p->paused_us) / 1e6));
	w->since_us = p->paused_us;
	if (p->paused_by) {
		w->by = p->paused_by->name;
		add(w, " by %s", w->by);
	}
}

/* How long those in front of it, and those that run, will take: from the mean run time. */
static void
why_behind(struct why *w, const struct pool *p)
{
	char text[SPAN_TEXT];

	w->seconds = p->mean_us == UINT32_MAX ? 0 : (double)p->mean_us * (double)(w->ahead + 1) / (p->workers ? p->workers : 1) / 1e6;
	if (w->ahead)
		say(w, "workers", "behind %llu in pool %s", (unsigned long long)w->ahead, p->name);
	else
		say(w, "workers", "next in pool %s", p->name);
	if (w->seconds >= 0.05)
		add(w, " (about %s)", span(text, w->seconds));
	else
		w->seconds = 0;
}

static void
why_queued(struct why *w, const struct future *f)
{
	const struct pool *p = f->spec->pool;

	w->ahead = queue_position(p->queue, f);
	w->has_ahead = true;
	if (p->gone)
		say(w, "no_pool", "pool %s is not in the configuration any more", p->name);
	else if (bytes_len(&p->broken))
		why_broken(w, p);
	else if (p->paused)
		why_paused(w, p);
	else if (p->draining)
		say(w, "draining", "pool %s is being drained: nothing new begins until that is over", p->name);
	else if (!p->slots)
		say(w, "workers", "pool %s is starting its workers", p->name);
	else
		why_behind(w, p);
}

static void
why_behind_gate(struct why *w, const struct future *f)
{
	uint64_t id = gate_waits_for(f->at.gate);
	struct future *other = id ? registry_find(id) : NULL;

	if (!id) {
		say(w, "after", "what it waited for is done");
		return;
	}
	w->future = id;
	if (other)
		slot_look(other);
	say(w, "after", "after %llu%s", (unsigned long long)id,
	    !other ? "" : other->state == FUTURE_RUNNING ? ", which is running" : other->state == FUTURE_PENDING ? ", which is pending" : "");
}

static void
why_later(struct why *w, const struct future *f)
{
	double left = seconds_until(f->more->not_before_us);
	char text[SPAN_TEXT];

	w->until_us = f->more->not_before_us;
	w->seconds = left;
	if (f->attempt)
		say(w, "retry", "attempt %u of %u failed; tried again in %s", f->attempt, f->spec->retries + 1u, span(text, left));
	else
		say(w, "delay", "delayed: starts in %s", span(text, left));
}

static void
why_sent(struct why *w, const struct future *f)
{
	const struct future *first = TAILQ_FIRST(&f->at.slot->sent);

	say(w, "workers", "sent ahead to a worker of pool %s that is busy", f->spec->pool->name);
	if (!first || first == f)
		return;
	w->future = first->id;
	add(w, " with %llu", (unsigned long long)first->id);
}

static void
pack_when(struct buf *b, const char *key, uint64_t us)
{
	pack_key(b, key);
	pack_double(b, clock_wall(us));
}

static void
pack_why(struct buf *b, const struct why *w)
{
	pack_map(b, 2u + w->has_ahead + (w->seconds > 0) + (w->future != 0) + (w->until_us != 0) + (w->since_us != 0) + (w->by != NULL));
	pack_key(b, "code");
	pack_cstr(b, w->code);
	pack_key(b, "message");
	pack_text(b, w->message, utf8_valid_prefix(w->message, strlen(w->message)));
	if (w->has_ahead) {
		pack_key(b, "ahead");
		pack_uint(b, w->ahead);
	}
	if (w->seconds > 0) {
		pack_key(b, "seconds");
		pack_double(b, w->seconds);
	}
	if (w->future) {
		pack_key(b, "future");
		pack_uint(b, w->future);
	}
	if (w->until_us)
		pack_when(b, "until", w->until_us);
	if (w->since_us)
		pack_when(b, "since", w->since_us);
	if (w->by) {
		pack_key(b, "by");
		pack_cstr(b, w->by);
	}
}

void
why_pack(struct buf *b, const struct future *f)
{
	struct why w = { 0 };

	switch (f->place) {
	case PLACE_GATE:
		why_behind_gate(&w, f);
		break;
	case PLACE_DELAY:
		why_later(&w, f);
		break;
	case PLACE_QUEUE:
		why_queued(&w, f);
		break;
	case PLACE_SLOT:
		why_sent(&w, f);
		break;
	default:
		say(&w, "accepting", "is being accepted");
	}
	pack_why(b, &w);
}
