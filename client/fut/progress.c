/* The progress line of map: how much is done, how fast, how long it will take. */
#include "client/fut/progress.h"
#include "client/fut/clock.h"

#include <inttypes.h>
#include <string.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { EVERY_MS = 100 };

void
progress_init(struct progress *p, const struct fut *f)
{
	const char *term = getenv("TERM");

	memset(p, 0, sizeof *p);
	p->f = f;
	p->on = f->tty_err && !f->quiet && term != NULL && strcmp(term, "dumb") != 0;
	p->begun = p->rate_at = clock_seconds();
}

static int
columns(void)
{
	struct winsize w;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
}

/* Over the last seconds, so that it follows when tasks get slower. */
static void
measure(struct progress *p, double at, uint64_t done)
{
	double span = at - p->rate_at, fresh;

	if (span < 0.5)
		return;
	fresh = (double)(done - p->rate_done) / span;
	p->rate = p->rate > 0 ? p->rate * 0.7 + fresh * 0.3 : fresh;
	p->rate_at = at;
	p->rate_done = done;
}

static void
format_left(char *text, size_t size, double s)
{
	if (s < 100)
		snprintf(text, size, "%.0f s left", s);
	else if (s < 6000)
		snprintf(text, size, "%.0f min left", s / 60);
	else
		snprintf(text, size, "%.1f h left", s / 3600);
}

static void
draw_bar(const struct progress *p, uint64_t done, uint64_t total, int width)
{
	int full = (int)((double)width * (double)done / (double)total);

	fprintf(stderr, "%s", paint_code(p->f->paint_err, PAINT_GREEN));
	for (int i = 0; i < width; i++)
		fputs(i < full ? "━" : i == full ? "╸" : " ", stderr);
	fprintf(stderr, "%s ", paint_end(p->f->paint_err));
}

static void
draw(struct progress *p, uint64_t done, uint64_t failed, uint64_t total)
{
	double rate = p->rate > 0 ? p->rate : (double)done / (clock_seconds() - p->begun + 1e-9);
	char text[200], left[40] = "", bad[40] = "";
	int wide = columns(), width;

	if (total > done && rate > 0)
		format_left(left, sizeof left, (double)(total - done) / rate);
	if (failed > 0)
		snprintf(bad, sizeof bad, "  %" PRIu64 " failed", failed);
	if (total > 0)
		snprintf(text, sizeof text, "%" PRIu64 "/%" PRIu64 "  %.0f%%  %.*f/s  %s", done, total, 100.0 * (double)done / (double)total,
			rate < 10, rate, left);
	else
		snprintf(text, sizeof text, "%" PRIu64 " done  %.*f/s", done, rate < 10, rate);
	if ((int)strlen(bad) > wide / 2)
		*bad = '\0';
	width = wide - 1 - (int)strlen(text) - (int)strlen(bad) - 2;
	fputs("\r", stderr);
	if (total > 0 && width >= 10)
		draw_bar(p, done, total, width < 40 ? width : 40);
	fprintf(stderr, "%.*s", wide - 1 - (int)strlen(bad), text);
	fprintf(stderr, "%s%s%s\033[K", paint_code(p->f->paint_err, PAINT_RED), bad, paint_end(p->f->paint_err));
	fflush(stderr);
	p->drawn = true;
}

void
progress_show(struct progress *p, uint64_t done, uint64_t failed, uint64_t total)
{
	double at;

	if (!p->on)
		return;
	at = clock_seconds();
	measure(p, at, done);
	if (p->held || (p->drawn && at - p->shown < EVERY_MS / 1000.0))
		return;
	if (p->unfinished)
		progress_break(p);
	p->shown = at;
	draw(p, done, failed, total);
}

void
progress_hide(struct progress *p)
{
	if (!p->drawn)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	p->drawn = false;
}

void
progress_wrote(struct progress *p, const char *bytes, size_t len)
{
	if (len > 0)
		p->unfinished = p->on && bytes[len - 1] != '\n';
}

void
progress_break(struct progress *p)
{
	if (p->unfinished) {
		fputc('\n', stderr);
		p->unfinished = false;
	} else
		progress_hide(p);
}

void
progress_hold(struct progress *p, bool hold)
{
	p->held = hold;
	if (hold)
		progress_hide(p);
}

int
progress_wait(const struct progress *p)
{
	return p->on ? EVERY_MS : -1;
}
