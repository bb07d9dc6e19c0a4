/* What map works on. */
#include "client/fut/items.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 64 << 10, LINE_MAX_BYTES = 1 << 20, COUNT_MAX = 256 << 20 };

/* How many lines a file has, so that progress can say when it will be done. */
static uint64_t
count_lines(char separator)
{
	char bytes[CHUNK], last = separator;
	off_t at = lseek(STDIN_FILENO, 0, SEEK_CUR);
	uint64_t lines = 0;
	bool content = false;
	struct stat st;
	ssize_t n;

	if (at < 0 || fstat(STDIN_FILENO, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size - at > COUNT_MAX)
		return 0;
	while ((n = pread(STDIN_FILENO, bytes, sizeof bytes, at)) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			if (bytes[i] == separator) {
				lines += content;
				content = false;
			} else
				content = true;
		}
		last = bytes[n - 1];
		at += n;
	}
	return lines + (last != separator);
}

void
items_init(struct items *it, char **operands, int count, char separator)
{
	memset(it, 0, sizeof *it);
	it->operands = operands;
	it->count = count;
	it->separator = separator;
	it->total = operands != NULL ? (uint64_t)count : count_lines(separator);
}

void
items_free(struct items *it)
{
	free(it->data);
}

/* The end of the line at `begin`, NULL if it is not here yet. Empty lines are passed over. */
static char *
line_end(struct items *it)
{
	char *end;

	while (it->begin < it->len && it->data[it->begin] == it->separator)
		it->begin++;
	if (it->begin == it->len)
		return NULL;
	end = memchr(it->data + it->begin, it->separator, it->len - it->begin);
	if (end == NULL && it->ended)
		end = it->data + it->len; /* there is always room for one more byte */
	return end;
}

bool
items_ready(struct items *it)
{
	return it->operands != NULL ? it->at < it->count : line_end(it) != NULL;
}

bool
items_over(struct items *it)
{
	return it->operands != NULL ? it->at == it->count : it->ended && line_end(it) == NULL;
}

bool
items_next(struct items *it, const char **text, size_t *len)
{
	char *end;

	if (it->operands != NULL) {
		if (it->at == it->count)
			return false;
		*text = it->operands[it->at++];
		*len = strlen(*text);
	} else {
		if ((end = line_end(it)) == NULL)
			return false;
		*end = '\0';
		*text = it->data + it->begin;
		*len = (size_t)(end - *text);
		it->begin += *len + (end < it->data + it->len);
	}
	it->taken++;
	return true;
}

int
items_fd(const struct items *it)
{
	return it->operands == NULL && !it->ended ? STDIN_FILENO : -1;
}

bool
items_read(struct items *it, struct fut *f)
{
	ssize_t n;

	if (it->begin > 0) {
		memmove(it->data, it->data + it->begin, it->len - it->begin);
		it->len -= it->begin;
		it->begin = 0;
	}
	if (it->len > LINE_MAX_BYTES) {
		fut_say(f, "a line of stdin is longer than 1 MiB");
		return false;
	}
	if (it->cap - it->len < CHUNK + 1)
		it->data = need(realloc(it->data, it->cap = it->len + 2 * CHUNK));
	n = read(STDIN_FILENO, it->data + it->len, CHUNK);
	if (n < 0 && errno != EINTR && errno != EAGAIN) {
		fut_say(f, "cannot read stdin: %s", strerror(errno));
		return false;
	}
	if (n == 0) {
		it->ended = true;
		it->total = it->taken; /* and what is still here */
		for (const char *p = it->data + it->begin, *end = it->data + it->len; p < end;) {
			const char *next = memchr(p, it->separator, (size_t)(end - p));

			next = next != NULL ? next : end;
			it->total += next > p;
			p = next + 1;
		}
	}
	it->len += n > 0 ? (size_t)n : 0;
	return true;
}
