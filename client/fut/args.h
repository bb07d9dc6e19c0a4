/* The arguments of a verb: its own options and the common ones. */
#ifndef FUT_ARGS_H
#define FUT_ARGS_H

#include <getopt.h>

#include "client/fut/fut.h"

enum { ARGS_END = -1, ARGS_STOP = -2 };

struct args {
	struct fut *fut;
	int argc;
	char **argv;
	char **operands; /* what is left, after ARGS_END; NULL-terminated */
	int count;
	char *value; /* of the option just returned */
	const char *word; /* as which that was typed */
	void *wish;  /* the verb's own: what the options said */
	int status;  /* after ARGS_STOP: what to exit with */
	char shorts[128];
	struct option longs[64];
};

/* `in_order`: options end at the first operand, so that a command's own stay its own. */
void args_init(struct args *a, struct fut *f, int argc, char **argv, bool in_order);
/* The key of the next option; ARGS_END; ARGS_STOP after -h or a mistake, which has been said. */
int args_next(struct args *a);
/* Says what is wrong with the use of this verb; returns the status to exit with. */
int args_wrong(struct fut *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Whether a word is one of the verb's long options, or a common one. */
bool args_is_option(const struct args *a, const char *word);
/* Says that there is no such verb. */
void args_no_verb(struct fut *f, const char *word);
/* Between `least` and `most` operands (most < 0: any number), else says so. */
bool args_expect(struct args *a, int least, int most);

/* Each reads a whole text, or says that `what` is wrong and returns false. */
bool args_number(struct fut *f, const char *what, const char *text, double *out);
bool args_int(struct fut *f, const char *what, const char *text, int64_t least, int64_t most, int64_t *out);
/* Seconds, or with a unit: 500ms, 90s, 5m, 2h, 1d, 1w. */
bool args_duration(struct fut *f, const char *what, const char *text, double *out);
/* How long something may take: 0 is no bound, as in the configuration, and becomes -1. */
bool args_bound(struct fut *f, const char *what, const char *text, double *out);
/* A duration without a word. */
bool args_is_duration(const char *text, double *out);
/* Bytes, or with a unit: 64K, 64KiB, 1GiB. */
bool args_size(struct fut *f, const char *what, const char *text, uint64_t *out);
/* Ids: 12, 12-20, 12,15. Appends to *ids (grown with realloc). `what` names the option; NULL: an operand. */
bool args_ids(struct fut *f, const char *what, const char *text, uint64_t **ids, size_t *n);
/* All operands as ids; false if one is wrong or there is none. */
bool args_all_ids(struct args *a, uint64_t **ids, size_t *n);

void help_overview(FILE *out);
void help_verb(const struct verb *v, FILE *out);

#endif
