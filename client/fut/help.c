/* Help, from the tables that are parsed by. */
#include <string.h>

#include "client/fut/args.h"
#include "client/fut/common.h"

static void
print_options(const struct option_row *row, FILE *out)
{
	for (; row != NULL && row->key != 0; row++) {
		char text[64];
		int len = 0;

		if (row->key < OPTION_LONG)
			len = snprintf(text, sizeof text, "-%c%s", row->key, row->name != NULL ? ", " : "");
		else
			len = snprintf(text, sizeof text, "    ");
		if (row->name != NULL)
			len += snprintf(text + len, sizeof text - (size_t)len, "--%s", row->name);
		if (row->value != NULL)
			snprintf(text + len, sizeof text - (size_t)len, " %s", row->value);
		fprintf(out, "  %-27s %s%s\n", text, strlen(text) > 27 ? "\n                              " : "", row->help);
	}
}

void
help_verb(const struct verb *v, FILE *out)
{
	fprintf(out, "%s\n", v->examples);
	fprintf(out, "\nfut %s%s %s\n  %s\n", v->name, v->options != NULL ? " [options]" : "", v->operands, v->summary);
	if (v->options != NULL) {
		fprintf(out, "\nOptions:\n");
		print_options(v->options, out);
	}
	fprintf(out, "\nCommon options:\n");
	print_options(common_options, out);
}

void
help_overview(FILE *out)
{
	fprintf(out, "  fut run -- make -j8                 run it, see its output, exit with its code\n"
		     "  fut submit -- ./backup.sh           queue it, print its id\n"
		     "  ls *.wav | fut map flac -s {}       one task per line, with a progress bar\n"
		     "  fut ls                              what there is\n"
		     "\nfut [-a ADDRESS] [--json] [-q] [--color=auto|always|never] VERB …\n\n");
	for (size_t i = 0; verbs[i] != NULL; i++)
		if (!(verbs[i]->flags & VERB_HIDDEN))
			fprintf(out, "  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
	fprintf(out, "\n`fut help VERB` or `fut VERB -h` tells more, examples first.\n");
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
	if ((v = verb_find(a.operands[0])) == NULL) {
		const char *close = verb_closest(a.operands[0]);

		fut_say(f, "there is no verb '%s'%s%s%s", a.operands[0], close != NULL ? "; did you mean '" : "", close != NULL ? close : "",
			close != NULL ? "'?" : "");
		return EXIT_USAGE;
	}
	help_verb(v, stdout);
	return EXIT_OK;
}

const struct verb verb_help = {
	.name = "help",
	.operands = "[VERB]",
	.summary = "tell about a verb",
	.examples = "  fut help map        # about map",
	.run = help_run,
};
