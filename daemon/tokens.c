#include "daemon/tokens.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/keyfile.h"

enum { TOKENS_MAX = 10000, WORDS = 4 };

struct table {
	struct token *item;
	size_t count;
};

static struct table current, next;

/* ---- reading ---- */

static bool
is_name(const char *s)
{
	size_t len = strlen(s);
	return len >= 1 && len <= TOKEN_NAME_MAX && *s != '-' &&
	    strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.@-") == len;
}

/* "never", 2027-01-31 (its end, UTC) or 2027-01-31T12:00:00Z */
static bool
parse_expiry(const char *s, int64_t *out)
{
	struct tm tm = { .tm_isdst = 0 };
	const char *end;

	if (strcmp(s, "never") == 0) {
		*out = INT64_MAX;
		return true;
	}
	if ((end = strptime(s, "%Y-%m-%dT%H:%M:%SZ", &tm)) && !*end) {
		*out = timegm(&tm);
		return true;
	}
	memset(&tm, 0, sizeof tm);
	if (!(end = strptime(s, "%Y-%m-%d", &tm)) || *end)
		return false;
	*out = timegm(&tm) + 24 * 60 * 60;
	return true;
}

static bool
parse_hash(const char *s, uint8_t out[TOKEN_HASH])
{
	if (strncmp(s, "sha256:", 7) != 0 || strlen(s + 7) != 2 * TOKEN_HASH || strspn(s + 7, "0123456789abcdef") != 2 * TOKEN_HASH)
		return false;
	for (int i = 0; i < TOKEN_HASH; i++) {
		char two[3] = { s[7 + 2 * i], s[8 + 2 * i], 0 };
		out[i] = (uint8_t)strtoul(two, NULL, 16);
	}
	return true;
}

/* What is wrong with a line; NULL if it is good. Never quotes the fourth word, which may be a secret put there by mistake. */
static const char *
parse_line(char *line, struct token *t)
{
	char *word[WORDS + 1], *rest = NULL;
	int count = 0;

	for (char *w = strtok_r(line, " \t\r", &rest); w && count <= WORDS; w = strtok_r(NULL, " \t\r", &rest))
		word[count++] = w;
	if (count != WORDS)
		return "expected NAME ROLE EXPIRES HASH";
	if (!is_name(word[0]))
		return "expected a name of 1 to 64 characters A-Z a-z 0-9 _ . @ -";
	if (!role_parse(word[1], &t->role))
		return "expected a role: admin, user or read-only";
	if (!parse_expiry(word[2], &t->expires))
		return "expected an expiry: never, 2027-01-31 or 2027-01-31T12:00:00Z";
	if (!parse_hash(word[3], t->hash))
		return "expected a hash: sha256: and 64 hexadecimal digits in lower case";
	snprintf(t->name, sizeof t->name, "%s", word[0]);
	return NULL;
}

static const char *
add(struct table *table, char *line)
{
	struct token *t = &table->item[table->count];
	const char *wrong;

	if (table->count == TOKENS_MAX)
		return "expected at most 10000 tokens";
	if ((wrong = parse_line(line, t)))
		return wrong;
	for (size_t i = 0; i < table->count; i++) {
		const struct token *other = &table->item[i];
		if (memcmp(other->hash, t->hash, TOKEN_HASH) == 0)
			return "expected each hash once";
		if (strcmp(other->name, t->name) == 0 && other->role != t->role)
			return "expected the same role in each line with this name";
	}
	table->count++;
	return NULL;
}

/* The text ends with a NUL. */
static bool
parse(const char *file, char *text, struct table *table, char *why, size_t size)
{
	unsigned number = 0;

	for (char *line; (line = strsep(&text, "\n"));) {
		const char *wrong;
		number++;
		line += strspn(line, " \t\r");
		if (!*line || *line == '#')
			continue;
		if ((wrong = add(table, line))) {
			snprintf(why, size, "%.300s:%u: %s", file, number, wrong);
			return false;
		}
	}
	return true;
}

bool
tokens_prepare(const char *file, char *why, size_t size)
{
	struct buf b;
	bool good = false;

	tokens_discard();
	if (!file)
		return true;
	if (!keyfile_read(file, true, &b, why, size))
		goto done;
	if (memchr(b.data, 0, b.len)) {
		snprintf(why, size, "%.300s: expected text, got a NUL byte", file);
		goto done;
	}
	snprintf(why, size, "out of memory");
	good = buf_append(&b, "", 1) && (next.item = calloc(TOKENS_MAX + 1, sizeof *next.item)) && parse(file, (char *)b.data, &next, why, size);
done:
	keyfile_clear(&b);
	if (!good)
		tokens_discard();
	return good;
}

void
tokens_commit(void)
{
	free(current.item);
	current = next;
	next = (struct table){ .count = 0 };
	if (current.count)
		current.item = realloc(current.item, current.count * sizeof *current.item);
}

void
tokens_discard(void)
{
	free(next.item);
	next = (struct table){ .count = 0 };
}

/* ---- asking ---- */

const struct token *
tokens_find_hash(const uint8_t hash[TOKEN_HASH])
{
	const struct token *found = NULL;

	for (size_t i = 0; i < current.count; i++) /* all of them, whatever was found */
		if (CRYPTO_memcmp(current.item[i].hash, hash, TOKEN_HASH) == 0)
			found = &current.item[i];
	return found;
}

const struct token *
tokens_find(const char *secret, size_t len)
{
	uint8_t hash[TOKEN_HASH];
	const struct token *found;

	if (EVP_Digest(secret, len, hash, NULL, EVP_sha256(), NULL) != 1)
		return NULL;
	found = tokens_find_hash(hash);
	return len >= TOKEN_LENGTH_MIN ? found : NULL;
}

bool
token_is_expired(const struct token *t)
{
	return t->expires != INT64_MAX && time(NULL) >= t->expires;
}

size_t
tokens_count(void)
{
	return current.count;
}
