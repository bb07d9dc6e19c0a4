/* Why a task does not begin. */
#include "client/fut/waiting.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/fut/clock.h"
#include "client/fut/page.h"
#include "client/fut/writer.h"

enum { LOOK_SECONDS = 1 };

void
waiting_begin(struct waiting *w, struct fut *f, const char *pool, bool block)
{
	*w = (struct waiting){ .f = f, .pool = pool, .block = block, .over = !f->tty_err || f->quiet, .look_at = clock_seconds() + LOOK_SECONDS };
}

/* A reason is known by its code: its sentence has numbers that change all the time. */
static void
on_shown(struct futured *c, const struct futured_reply *reply, void *data)
{
	struct futured_value map = futured_reply_value(reply), state, why;
	struct waiting *w = data;
	char *code, *text;

	(void)c;
	w->asking = false;
	if (!futured_value_find(map, "state", &state) || !futured_value_is_str(state, "PENDING") || !futured_value_find(map, "why", &why))
		w->over = true;
	if (w->over || (code = cell_text(why, "code")) == NULL)
		return;
	if (w->told == NULL || strcmp(code, w->told) != 0) {
		text = page_state(map);
		fut_note(w->f, "%" PRIu64 ": %s", w->id, text);
		free(text);
	}
	free(w->told);
	w->told = code;
}

void
waiting_look(struct waiting *w, uint64_t id)
{
	if (w->over || w->asking || clock_seconds() < w->look_at)
		return;
	w->look_at = clock_seconds() + LOOK_SECONDS;
	w->id = id;
	if (id != 0)
		w->asking = futured_requestf(w->f->c, on_shown, w, "show", "u", id) == FUTURED_OK;
	else if (w->block && w->told == NULL) {
		fut_note(w->f, "waiting for room in pool %s", w->pool);
		w->told = need(strdup("room"));
	}
}

int
waiting_ms(const struct waiting *w)
{
	double left = w->look_at - clock_seconds();

	return w->over || w->asking ? -1 : left > 0 ? (int)(left * 1000) + 1 : 0;
}

void
waiting_end(struct waiting *w)
{
	w->over = true;
}

void
waiting_clear(struct waiting *w)
{
	free(w->told);
}
