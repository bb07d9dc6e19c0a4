/* What map works on. */
#include "client/fut/items.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/fut/args.h"

enum { CHUNK = 64 << 10, LINE_MAX_BYTES = 1 << 20, COUNT_MAX = 256 << 20, AHEAD = 4 << 20, SOURCES_MAX = 64 };

/* ---- a stream ---- */

/* How many lines a file has, so that progress can say when it will be done. */
static uint64_t
count_lines(int fd, char separator)
{
	char bytes[CHUNK], last = separator;
	off_t at = lseek(fd, 0, SEEK_CUR);
	uint64_t lines = 0;
	bool content = false;
	struct stat st;
	ssize_t n;

	if (at < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size - at > COUNT_MAX)
		return 0;
	while ((n = pread(fd, bytes, sizeof bytes, at)) > 0) {
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
		end = it->data + it->len;
	return end;
}

bool
items_read(struct items *it, struct fut *f)
{
	ssize_t n;

	if (it->len - it->begin > LINE_MAX_BYTES && line_end(it) == NULL) {
		fut_say(f, "a line of the items is longer than 1 MiB");
		return false;
	}
	if (it->begin > it->len / 2) { /* what is moved is less than what was taken since */
		memmove(it->data, it->data + it->begin, it->len - it->begin);
		it->len -= it->begin;
		it->begin = 0;
	}
	if (it->cap - it->len < CHUNK)
		it->data = need(realloc(it->data, it->cap = it->len + 2 * CHUNK));
	n = read(it->fd, it->data + it->len, CHUNK);
	if (n < 0 && errno != EINTR && errno != EAGAIN) {
		fut_say(f, "cannot read the items: %s", strerror(errno));
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

/* ---- sources ---- */

enum mark { MARK_NONE, MARK_WORDS, MARK_WORDS_ALONG, MARK_FILES, MARK_FILES_ALONG };

static enum mark
mark_of(const char *word)
{
	static const char *const marks[] = { ":::", ":::+", "::::", "::::+" };

	for (int i = 0; i < 4; i++)
		if (strcmp(word, marks[i]) == 0)
			return (enum mark)(i + 1);
	return MARK_NONE;
}

int
items_before(char **operands, int count)
{
	int n = 0;

	while (n < count && mark_of(operands[n]) == MARK_NONE)
		n++;
	return n;
}

static struct source *
add_source(struct items *it, bool along)
{
	struct source *s;

	it->sources = need(realloc(it->sources, (it->source_count + 1) * sizeof *it->sources));
	s = &it->sources[it->source_count++];
	*s = (struct source){ .along = along };
	return s;
}

static void
add_words(struct items *it, char **words, int count, bool along)
{
	struct source *s = add_source(it, along);

	s->values = need(calloc((size_t)count + 1, sizeof *s->values));
	for (s->count = 0; s->count < (size_t)count; s->count++)
		s->values[s->count] = (struct field){ words[s->count], strlen(words[s->count]) };
}

static int
open_file(struct fut *f, const char *path)
{
	int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fut_say(f, "%s: %s", path, strerror(errno));
	return fd;
}

/* All lines of a file, through the same reader as a stream's. */
static bool
add_file(struct items *it, struct fut *f, const char *path, bool along)
{
	struct items lines = { .fd = open_file(f, path), .separator = it->separator };
	struct source *s;
	size_t cap = 0;
	char *end;
	bool well = true;

	if (lines.fd < 0)
		return false;
	s = add_source(it, along);
	s->owned = true;
	while (well && !items_over(&lines)) {
		while ((end = line_end(&lines)) != NULL) {
			size_t len = (size_t)(end - (lines.data + lines.begin));
			char *copy = need(malloc(len + 1));

			memcpy(copy, lines.data + lines.begin, len);
			if (s->count == cap)
				s->values = need(realloc(s->values, (cap = cap == 0 ? 64 : cap * 2) * sizeof *s->values));
			s->values[s->count++] = (struct field){ copy, len };
			lines.begin += len + (end < lines.data + lines.len);
		}
		well = lines.ended || items_read(&lines, f);
	}
	if (lines.fd != STDIN_FILENO)
		close(lines.fd);
	free(lines.data);
	return well;
}

static void
use_stream(struct items *it, int fd)
{
	it->fd = fd;
	it->total = count_lines(fd, it->separator);
}

/* How many combinations there are. */
static uint64_t
combinations(struct items *it)
{
	uint64_t total = 1;

	for (size_t i = 0, next; i < it->source_count; i = next) {
		size_t shortest = it->sources[i].count;

		for (next = i + 1; next < it->source_count && it->sources[next].along; next++)
			shortest = it->sources[next].count < shortest ? it->sources[next].count : shortest;
		for (size_t j = i; j < next; j++)
			it->sources[j].count = shortest;
		if (__builtin_mul_overflow(total, shortest, &total))
			return UINT64_MAX;
	}
	return total;
}

bool
items_init(struct items *it, struct fut *f, char **operands, int count, char separator, const char *columns)
{
	int at = 0, fd;

	memset(it, 0, sizeof *it);
	it->fd = -1;
	it->separator = separator;
	it->columns = columns;
	if (count == 0 || (count == 2 && mark_of(operands[0]) == MARK_FILES)) {
		if ((fd = count == 0 ? STDIN_FILENO : open_file(f, operands[1])) >= 0)
			use_stream(it, fd);
		return fd >= 0;
	}
	while (at < count) {
		enum mark mark = mark_of(operands[at]);
		int n = items_before(operands + at + 1, count - at - 1);
		bool along = mark == MARK_WORDS_ALONG || mark == MARK_FILES_ALONG;

		if (along && it->source_count == 0) {
			args_wrong(f, "%s: there is no source in front of it to go along with", operands[at]);
			return false;
		}
		if (mark == MARK_WORDS || mark == MARK_WORDS_ALONG)
			add_words(it, operands + at + 1, n, along);
		else if (n == 0) {
			args_wrong(f, "expected files behind %s; - is stdin", operands[at]);
			return false;
		}
		for (int i = 0; i < n && mark >= MARK_FILES; i++)
			if (!add_file(it, f, operands[at + 1 + i], along))
				return false;
		at += n + 1;
	}
	if (it->source_count > SOURCES_MAX) {
		args_wrong(f, "%zu sources are too many: at most %d", it->source_count, SOURCES_MAX);
		return false;
	}
	it->total = combinations(it);
	return true;
}

void
items_free(struct items *it)
{
	for (size_t i = 0; i < it->source_count; i++) {
		struct source *s = &it->sources[i];

		for (size_t j = 0; s->owned && j < s->count; j++)
			free((char *)s->values[j].s);
		free(s->values);
	}
	free(it->sources);
	free(it->fields);
	free(it->data);
	if (it->fd > STDERR_FILENO)
		close(it->fd);
}

int
items_fields(const struct items *it)
{
	return it->columns != NULL ? 0 : it->source_count > 0 ? (int)it->source_count : 1;
}

bool
items_from_stdin(const struct items *it)
{
	return it->fd == STDIN_FILENO;
}

/* ---- taking ---- */

static void
add_field(struct items *it, int *count, const char *s, size_t len)
{
	if ((size_t)*count == it->field_cap)
		it->fields = need(realloc(it->fields, (it->field_cap = it->field_cap == 0 ? 16 : it->field_cap * 2) * sizeof *it->fields));
	it->fields[(*count)++] = (struct field){ s, len };
}

/* A value, or its columns. */
static void
add_value(struct items *it, int *count, const char *s, size_t len)
{
	size_t n = it->columns != NULL ? strlen(it->columns) : 0;
	const char *next;

	while (n > 0 && (next = memmem(s, len, it->columns, n)) != NULL) {
		add_field(it, count, s, (size_t)(next - s));
		len -= (size_t)(next - s) + n;
		s = next + n;
	}
	add_field(it, count, s, len);
}

/* Combination number `at`, its digits from the last source on. */
static void
take_combination(struct items *it, int *count)
{
	size_t index[SOURCES_MAX];
	uint64_t rest = it->at++;

	for (size_t i = it->source_count, begin; i > 0; i = begin) {
		begin = i - 1;
		while (it->sources[begin].along)
			begin--;
		for (size_t j = begin; j < i; j++)
			index[j] = (size_t)(rest % it->sources[begin].count);
		rest /= it->sources[begin].count;
	}
	for (size_t i = 0; i < it->source_count; i++)
		add_value(it, count, it->sources[i].values[index[i]].s, it->sources[i].values[index[i]].len);
}

bool
items_ready(struct items *it)
{
	return it->source_count > 0 ? it->at < it->total : line_end(it) != NULL;
}

bool
items_over(struct items *it)
{
	return it->source_count > 0 ? it->at == it->total : it->ended && line_end(it) == NULL;
}

bool
items_next(struct items *it, const struct field **fields, int *count)
{
	char *end;

	*count = 0;
	if (!items_ready(it))
		return false;
	if (it->source_count > 0)
		take_combination(it, count);
	else {
		end = line_end(it);
		add_value(it, count, it->data + it->begin, (size_t)(end - (it->data + it->begin)));
		it->begin += (size_t)(end - (it->data + it->begin)) + (end < it->data + it->len);
	}
	*fields = it->fields;
	it->taken++;
	return true;
}

int
items_fd(const struct items *it)
{
	return !it->ended && it->len - it->begin < AHEAD ? it->fd : -1;
}
