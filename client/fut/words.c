/* Times, spans and sizes in a person's words. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/fut/show.h"

char *
show_span(double s)
{
	char *text = NULL;
	int n;

	if (s < 0)
		s = 0;
	if (s < 0.0995)
		n = asprintf(&text, "%.0f ms", s * 1000);
	else if (s < 9.95)
		n = asprintf(&text, "%.1f s", s);
	else if (s < 99.5)
		n = asprintf(&text, "%.0f s", s);
	else if (s < 5970)
		n = asprintf(&text, "%.0f min", s / 60);
	else if (s < 48 * 3600)
		n = asprintf(&text, "%.0f h", s / 3600);
	else
		n = asprintf(&text, "%.0f d", s / 86400);
	return need(n < 0 ? NULL : text);
}

char *
show_span_exactly(double s)
{
	static const struct {
		const char *name;
		uint64_t seconds;
	} units[] = { { "d", 86400 }, { "h", 3600 }, { "min", 60 }, { "s", 1 } };
	char text[128];
	size_t at = 0;
	uint64_t left;

	if (s < 59.9995) {
		double ms = (double)(int64_t)(s * 1000 + 0.5);

		snprintf(text, sizeof text, "%.15g %s", s > 0 && s < 1 ? ms : ms / 1000, s > 0 && s < 1 ? "ms" : "s");
		return need(strdup(text));
	}
	left = s < 1e15 ? (uint64_t)(s + 0.5) : UINT64_C(1000000000000000);
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (left / units[i].seconds > 0)
			at += (size_t)snprintf(text + at, sizeof text - at, "%s%" PRIu64 " %s", at > 0 ? " " : "", left / units[i].seconds, units[i].name);
		left %= units[i].seconds;
	}
	return need(strdup(text));
}

char *
show_time(double t)
{
	time_t whole = (time_t)t;
	struct tm tm;
	char clock[64], *text = NULL;
	struct timespec now;
	char *ago;
	int n;

	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&whole, &tm);
	strftime(clock, sizeof clock, "%Y-%m-%d %H:%M:%S", &tm);
	ago = show_span(fabs((double)now.tv_sec + (double)now.tv_nsec / 1e9 - t));
	n = asprintf(&text, "%s (%s%s%s)", clock, t > (double)now.tv_sec + 1 ? "in " : "", ago, t > (double)now.tv_sec + 1 ? "" : " ago");
	free(ago);
	return need(n < 0 ? NULL : text);
}

char *
show_size(double bytes)
{
	static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	char *text = NULL;
	size_t u = 0;
	int n;

	for (; bytes >= 1024 && u < 4; u++)
		bytes /= 1024;
	n = asprintf(&text, u == 0 ? "%.0f %s" : "%.1f %s", bytes, unit[u]);
	return need(n < 0 ? NULL : text);
}

char *
show_count(uint64_t n)
{
	char digits[24], *text = need(malloc(sizeof digits + sizeof digits / 3)), *to = text;
	int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
	return text;
}

static int
ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

char *
show_ids(uint64_t *ids, size_t n)
{
	enum { RUNS_MOST = 20 };
	char *text = NULL;
	size_t size, runs = 0;
	FILE *out = need(open_memstream(&text, &size));

	qsort(ids, n, sizeof *ids, ascending);
	for (size_t i = 0, last; i < n && runs <= RUNS_MOST; i = last + 1, runs++) {
		for (last = i; last + 1 < n && ids[last + 1] <= ids[last] + 1; last++)
			;
		if (runs == RUNS_MOST)
			fputs("…", out);
		else if (ids[last] == ids[i])
			fprintf(out, "%s%" PRIu64, runs > 0 ? "," : "", ids[i]);
		else
			fprintf(out, "%s%" PRIu64 "-%" PRIu64, runs > 0 ? "," : "", ids[i], ids[last]);
	}
	if (fclose(out) != 0)
		need(NULL);
	return need(text);
}
