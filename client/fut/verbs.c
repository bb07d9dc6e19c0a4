/* The verbs, in the order in which the overview shows them. */
#include "client/fut/fut.h"

const struct verb *const verbs[] = { &verb_run, &verb_submit, &verb_call, &verb_map, &verb_wait, &verb_result, &verb_logs,
	&verb_cancel, &verb_release, &verb_retry, &verb_ls, &verb_show, &verb_why, &verb_failures, &verb_top, &verb_events, &verb_pool,
	&verb_bench, &verb_daemon, &verb_completion, &verb_complete, &verb_help, NULL };
