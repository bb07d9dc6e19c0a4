/* What was probably meant by a word that is not known. */
#ifndef FUT_GUESS_H
#define FUT_GUESS_H

#include "client/fut/fut.h"

/* The nearest of a NULL-terminated list; NULL if none is near. */
const char *guess_word(const char *word, const char *const *list);
/* A verb, or one with its action: "daemon stats". */
const char *guess_verb(const char *word);
/* "; did you mean 'shell'?" with what was meant, else `otherwise`. New. */
char *guess_text(const char *meant, const char *otherwise);

#endif
