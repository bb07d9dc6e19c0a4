/* Idempotency keys: while a future with this key and owner is known, a submit with it returns its id. A map's key stands for its run.
 * Known until the last of its futures is released or expired. */
#ifndef FUTURED_DAEMON_KEY_H
#define FUTURED_DAEMON_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keyed;
struct owner;

enum { KEY_MAX = 1024 }; /* bytes */

/* NULL if the owner has no such key. Borrowed. */
struct keyed *key_find(const struct owner *owner, const char *key, size_t len);
/* The key will stand for a run of `count` futures; the caller holds one count for each of them. NULL without memory. */
struct keyed *key_new(const struct owner *owner, const char *key, size_t len, uint64_t count);
/* From now on it stands for [first, first + count), which is to be had. */
void key_ready(struct keyed *k, uint64_t first);
bool key_is_ready(const struct keyed *k);
/* One of an earlier daemon, that stands for [first, first + count): so many of them are left, and the caller holds a count for each. */
struct keyed *key_again(const struct owner *owner, const char *key, size_t len, uint64_t first, uint64_t count, uint64_t left);
void key_drop(struct keyed *k);
/* The key itself, as it was given. Borrowed. */
const char *key_text(const struct keyed *k, size_t *len);
void key_run(const struct keyed *k, uint64_t *first, uint64_t *count);

#endif
