/**
 * A node for tests: the Soul that is linked with it runs in it as in a node, without WebAssembly.
 *
 * Compile the Soul, `matrix_soul.c` and `matrix_fake.c` with any compiler. Grants and quotas are not checked; `send` and `ask` are told
 * to the test, which answers for whoever is asked.
 */
#ifndef MATRIX_FAKE_H
#define MATRIX_FAKE_H

#include "matrix_soul.h"

/** The time of the next message, in milliseconds since the Unix epoch. */
extern uint64_t fake_now;
/** Answers what the Soul asks; false: with the reason in `body`, the recipient failed. By default there is nobody. */
extern bool (*fake_recipient)(matrix_address to, matrix_content content, matrix_reply *reply);
/** Hears what the Soul publishes, sends and logs: `what` is `event`, `send` or `log`. By default nobody does. */
extern void (*fake_listener)(const char *what, matrix_bytes name, matrix_bytes said);

/** Another life: `born` with these settings, an even number of texts that ends with NULL. The buffer says why not. */
bool fake_birth(matrix_buffer *why, uint64_t seed, ...);
/** Sends the Soul a text; its reply, or its refusal, as text that is good until the next call. */
const char *fake_ask(const char *text);
/** Whether the last message was refused. */
bool fake_was_refused(void);
/** The action of one turn as text; a refusal is NULL, and its reason is told by `fake_why`. */
const char *fake_act(const char *matrix, uint64_t tick, uint32_t seat, matrix_bytes observation, bool is_final);
/** Why the last call was refused. */
const char *fake_why(void);
/** Takes the state, has the Soul forget nothing, and gives it back as another instance would be given it; false: it was refused. */
bool fake_save_and_restore(matrix_buffer *state);
/** Gives the Soul a state; false: it was refused. */
bool fake_restore(const char *schema, matrix_bytes state);

#endif
