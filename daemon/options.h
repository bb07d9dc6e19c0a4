/* The options of submit, map and call: a map with str keys becomes a spec. */
#ifndef FUTURED_DAEMON_OPTIONS_H
#define FUTURED_DAEMON_OPTIONS_H

#include "daemon/submission.h"

/* Reads the options parameter into s->spec (whose pool, fn and owner are set) and s. False: answered already. */
bool options_read_submission(struct request *r, struct submission *s);
/* Those of a spec that nobody shares, and that was made when its pool had other settings: within what it says now. False: answered already. */
bool options_renew(struct request *r, struct submission *s);

#endif
