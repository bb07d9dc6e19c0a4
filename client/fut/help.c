/* Help, from the tables that are parsed by. */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "client/fut/args.h"
#include "client/fut/common.h"
#include "client/fut/text.h"

enum { HELP_COLUMN = 30, HELP_COLUMN_NARROW = 8, NARROW = 64, WIDTH_LEAST = 40 };

/* As wide as the terminal; 80 where there is none. */
static size_t
width_of(FILE *out)
{
	struct winsize w;

	return ioctl(fileno(out), TIOCGWINSZ, &w) == 0 && w.ws_col >= WIDTH_LEAST ? w.ws_col : 80;
}

/* Words from column `at` on; further lines begin at `indent`. */
static void
print_words(FILE *out, const char *text, size_t len, size_t at, size_t indent)
{
	const char *end = text + len;
	size_t width = width_of(out);
	bool first = true;

	while (text < end) {
		size_t blanks = strspn(text, " "), word = strcspn(text + blanks, " ");
		char copy[512];

		if ((size_t)(end - text) < blanks + word)
			word = (size_t)(end - text) - blanks;
		snprintf(copy, sizeof copy, "%.*s", (int)word, text + blanks);
		if (!first && at + blanks + text_width(copy) > width) {
			fprintf(out, "\n%*s", (int)indent, "");
			at = indent;
			blanks = 0;
		}
		fprintf(out, "%*s%s", (int)blanks, "", copy);
		at += blanks + text_width(copy);
		text += strspn(text, " ") + word;
		first = false;
	}
	fputc('\n', out);
}

static void
print_options(const struct option_row *row, FILE *out)
{
	size_t column = width_of(out) < NARROW ? HELP_COLUMN_NARROW : HELP_COLUMN;

	for (; row != NULL && row->key != 0; row++) {
		char text[64];
		int len = 0;

		if (row->help == NULL)
			continue;
		if (row->key < OPTION_LONG)
			len = snprintf(text, sizeof text, "-%c%s", row->key, row->name != NULL ? ", " : "");
		else
			len = snprintf(text, sizeof text, "    ");
		if (row->name != NULL)
			len += snprintf(text + len, sizeof text - (size_t)len, "--%s", row->name);
		if (row->value != NULL)
			snprintf(text + len, sizeof text - (size_t)len, " %s", row->value);
		if (strlen(text) > 27 || column < HELP_COLUMN)
			fprintf(out, "  %s\n%*s", text, (int)column, "");
		else
			fprintf(out, "  %-27s ", text);
		print_words(out, row->help, strlen(row->help), column, column);
	}
}

/* A command with a comment that does not fit beside it has it below; other lines are broken between words. */
static void
print_example(FILE *out, const char *line, size_t len)
{
	const char *comment = memmem(line, len, "  # ", 4);
	char copy[512];

	snprintf(copy, sizeof copy, "%.*s", (int)len, line);
	if (text_width(copy) <= width_of(out))
		fprintf(out, "%s\n", copy);
	else if (comment == NULL)
		print_words(out, line, len, 0, 4);
	else {
		size_t command = (size_t)(comment - line);

		while (command > 0 && line[command - 1] == ' ')
			command--;
		fprintf(out, "%.*s\n      ", (int)command, line);
		comment += 2;
		print_words(out, comment, len - (size_t)(comment - line), 6, 8);
	}
}

static void
print_examples(FILE *out, const char *line)
{
	while (*line != '\0') {
		size_t len = strcspn(line, "\n");

		print_example(out, line, len);
		line += len + (line[len] == '\n');
	}
}

/* Only their names: with all their words a screen would begin with them, and what is about the verb would be gone. */
static void
print_common(FILE *out)
{
	char *text = NULL;
	size_t size;
	FILE *names = need(open_memstream(&text, &size));

	fputs("Options of every verb (`fut help options` tells them):", names);
	for (const struct option_row *row = common_options; row->key != 0; row++) {
		if (row->key < OPTION_LONG)
			fprintf(names, " -%c", row->key);
		else
			fprintf(names, " --%s", row->name);
		fputs(row[1].key != 0 ? "," : "", names);
	}
	if (fclose(names) != 0)
		need(NULL);
	fputc('\n', out);
	print_words(out, need(text), size, 0, 2);
	free(text);
}

void
help_verb(const struct verb *v, FILE *out)
{
	print_examples(out, v->examples);
	fprintf(out, "\nfut %s%s ", v->name, v->options != NULL ? " [options]" : "");
	print_words(out, v->operands, strlen(v->operands), strlen(v->name) + 15, 6);
	fprintf(out, "  %s\n", v->summary);
	if (v->options != NULL) {
		fprintf(out, "\nOptions:\n");
		print_options(v->options, out);
	}
	print_common(out);
}

static void
help_options(FILE *out)
{
	print_examples(out, "  fut --json -q run -- make    # before the verb\n"
			    "  fut run --json -q -- make    # behind it, before what it runs\n");
	fputs("\nOptions of every verb:\n", out);
	print_options(common_options, out);
}

void
help_overview(FILE *out)
{
	static const char more[] = "`fut help VERB` or `fut VERB -h` tells more, examples first.";
	static const char usage[] = "fut [-a ADDRESS] [--json] [-q] [--color=auto|always|never] VERB …";

	print_examples(out, "  fut run -- make -j8               # run it, see its output, exit with its code\n"
			    "  fut submit -- ./backup.sh         # queue it, print its id\n"
			    "  ls *.wav | fut map flac -s {}     # one task per line, with a progress bar\n"
			    "  fut ls                            # what there is\n");
	fputc('\n', out);
	print_words(out, usage, strlen(usage), 0, 4);
	fputc('\n', out);
	for (size_t i = 0; verbs[i] != NULL; i++)
		if (!(verbs[i]->flags & VERB_HIDDEN)) {
			fprintf(out, "  %-10s ", verbs[i]->name);
			print_words(out, verbs[i]->summary, strlen(verbs[i]->summary), 13, 13);
		}
	fputc('\n', out);
	print_words(out, more, strlen(more), 0, 2);
}

static int
help_run(struct fut *f, int argc, char **argv)
{
	const struct verb *v;
	struct args a;

	args_init(&a, f, argc, argv, false);
	if (args_next(&a) != ARGS_END || !args_expect(&a, 0, 1))
		return a.status;
	if (a.count == 0) {
		help_overview(stdout);
		return EXIT_OK;
	}
	if (strcmp(a.operands[0], "options") == 0) {
		help_options(stdout);
		return EXIT_OK;
	}
	if ((v = verb_find(a.operands[0])) == NULL) {
		args_no_verb(f, a.operands[0]);
		return EXIT_USAGE;
	}
	help_verb(v, stdout);
	return EXIT_OK;
}

const struct verb verb_help = {
	.name = "help",
	.operands = "[VERB | options]",
	.summary = "tell about a verb, or about the options that all have",
	.examples = "  fut help map        # about map\n"
		    "  fut help options    # what every verb takes",
	.run = help_run,
};
