#include "daemon/key.h"

#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "daemon/store.h"

#include "daemon/fault.h"

struct keyed {
	UT_hash_handle hh;
	uint64_t first, count;
	uint64_t alive;    /* futures that still hold it */
	bool ready;
	size_t len;
	uint8_t name[];    /* the owner's address, then the key: what is hashed */
};

static struct keyed *keys;

/* One lookup at a time, and keys are bounded by the caller (KEY_MAX). */
static size_t
hash_name(const struct owner *owner, const char *key, size_t len, uint8_t *out)
{
	memcpy(out, &owner, sizeof owner);
	memcpy(out + sizeof owner, key, len);
	return sizeof owner + len;
}

struct keyed *
key_find(const struct owner *owner, const char *key, size_t len)
{
	uint8_t name[sizeof owner + KEY_MAX];
	struct keyed *k;
	size_t n = hash_name(owner, key, len, name);
	HASH_FIND(hh, keys, name, n, k);
	return FAULT(key_ignored) ? NULL : k;
}

struct keyed *
key_new(const struct owner *owner, const char *key, size_t len, uint64_t count)
{
	struct keyed *k = calloc(1, sizeof *k + sizeof owner + len);
	if (!k)
		return NULL;
	k->count = count;
	k->alive = count;
	k->len = hash_name(owner, key, len, k->name);
	HASH_ADD_KEYPTR(hh, keys, k->name, k->len, k);
	if (!k->hh.tbl) {
		free(k);
		return NULL;
	}
	return k;
}

void
key_ready(struct keyed *k, uint64_t first)
{
	k->first = first;
	k->ready = true;
}

struct keyed *
key_again(const struct owner *owner, const char *key, size_t len, uint64_t first, uint64_t count, uint64_t left)
{
	struct keyed *k = key_new(owner, key, len, count);
	if (!k)
		return NULL;
	k->alive = left;
	key_ready(k, first);
	return k;
}

bool
key_is_ready(const struct keyed *k)
{
	return k->ready;
}

void
key_drop(struct keyed *k)
{
	if (!k || --k->alive)
		return;
	HASH_DEL(keys, k);
	store_key_gone(k->first);
	free(k);
}

void
key_run(const struct keyed *k, uint64_t *first, uint64_t *count)
{
	*first = k->first;
	*count = k->count;
}

const char *
key_text(const struct keyed *k, size_t *len)
{
	*len = k->len - sizeof(const struct owner *);
	return (const char *)k->name + sizeof(const struct owner *);
}
