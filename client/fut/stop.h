/* ^C and its like, as a descriptor to poll. */
#ifndef FUT_STOP_H
#define FUT_STOP_H

#include <stdbool.h>

/* From now on SIGINT, SIGTERM and SIGHUP are counted instead of ending us, and SIGPIPE is ignored. A signal that was ignored when
 * we were started (nohup) stays so. Returns the descriptor. */
int stop_begin(void);
/* And this one. */
void stop_also(int signal);
/* Does what this one does by default, be it to stop us until SIGCONT; then it is caught as before. */
void stop_for(int signal);
/* Takes what has come: the number of the signal, 0 for none. One signal a call. */
int stop_take(void);

#endif
