#include "daemon/watch.h"

#include <stdlib.h>
#include <utlist.h>

#include "daemon/registry.h"

struct watch {
	struct watcher *watcher;
	uint64_t page; /* id / REGISTRY_PAGE */
	uint64_t bits[REGISTRY_WORDS];
	uint64_t want[REGISTRY_WORDS];
	struct watch *next, *prev;         /* on the page */
	struct watch *own_next, *own_prev; /* of the watcher */
};

static struct watch *
find(const struct watcher *w, uint64_t id)
{
	struct registry_page *page = registry_page(id);
	struct watch *watch;

	if (w->last && w->last->page == id / REGISTRY_PAGE)
		return w->last;
	if (!page || !w->watches)
		return NULL;
	DL_FOREACH(page->watches, watch) {
		if (watch->watcher == w)
			return watch;
	}
	return NULL;
}

static void
drop(struct watch *watch)
{
	struct watcher *w = watch->watcher;
	struct registry_page *page = registry_page(watch->page * REGISTRY_PAGE);

	if (w->last == watch)
		w->last = NULL;
	DL_DELETE(page->watches, watch);
	DL_DELETE2(w->watches, watch, own_prev, own_next);
	free(watch);
}

bool
watch_add(struct watcher *w, const struct future *f, bool want, bool *added)
{
	struct watch *watch = find(w, f->id);
	uint64_t bit = UINT64_C(1) << (f->id % 64);
	unsigned word = f->id % REGISTRY_PAGE / 64;

	if (!watch) {
		if (!(watch = calloc(1, sizeof *watch)))
			return false;
		watch->watcher = w;
		watch->page = f->id / REGISTRY_PAGE;
		DL_PREPEND(registry_page(f->id)->watches, watch);
		DL_PREPEND2(w->watches, watch, own_prev, own_next);
	}
	w->last = watch;
	*added = !(watch->bits[word] & bit);
	w->count += *added;
	watch->bits[word] |= bit;
	if (want)
		watch->want[word] |= bit;
	return true;
}

/* Clears one bit; drops the record when it was the last. */
static bool
clear_bit(struct watch *watch, uint64_t id, bool *want)
{
	uint64_t bit = UINT64_C(1) << (id % 64), rest = 0;
	unsigned word = id % REGISTRY_PAGE / 64;

	if (!(watch->bits[word] & bit))
		return false;
	*want = watch->want[word] & bit;
	watch->bits[word] &= ~bit;
	watch->want[word] &= ~bit;
	watch->watcher->count--;
	for (unsigned i = 0; i < REGISTRY_WORDS; i++)
		rest |= watch->bits[i];
	if (!rest)
		drop(watch);
	return true;
}

void
watch_remove(struct watcher *w, uint64_t id)
{
	bool want;
	struct watch *watch = find(w, id);
	if (watch)
		clear_bit(watch, id, &want);
}

void
watch_clear(struct watcher *w)
{
	while (w->watches)
		drop(w->watches);
	w->count = 0;
}

void
watch_notify(struct future *f)
{
	struct registry_page *page = registry_page(f->id);
	struct watch *watch, *next;

	DL_FOREACH_SAFE(page->watches, watch, next) {
		struct watcher *w = watch->watcher;
		bool want;
		if (clear_bit(watch, f->id, &want))
			w->notify(w, f, want);
	}
}

void
watch_progress(const struct future *f, const uint8_t *values, size_t len)
{
	uint64_t bit = UINT64_C(1) << (f->id % 64);
	struct watch *watch;

	DL_FOREACH(registry_page(f->id)->watches, watch) {
		if (watch->watcher->progress && watch->bits[f->id % REGISTRY_PAGE / 64] & bit)
			watch->watcher->progress(watch->watcher, f, values, len);
	}
}
