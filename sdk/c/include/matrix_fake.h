/**
 * A node for tests: what is linked with it, a Soul, rules or a stage of the transport, runs in it as in a node, without WebAssembly.
 *
 * `make test` of `sdk/c/Makefile` compiles them with any compiler. Grants and quotas are not checked; `send` and `ask` are told
 * to the test, which answers for whoever is asked.
 */
#ifndef MATRIX_FAKE_H
#define MATRIX_FAKE_H

#include "matrix_interceptor.h"
#include "matrix_rules.h"
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

/* Rules. */

/** Starts them, with these settings in JSON and these players' names, which end with NULL; false: `why` says why not. */
bool fake_start(matrix_buffer *why, uint64_t seed, const char *config, ...);
/**
 * One tick: `decide` writes what each prompt is answered that is not final; false: nothing comes in time. The tick is taken twice, from the
 * same state, and must lead to the same; what a node would not carry out ends the test, and says so. False: the rules refused.
 */
bool fake_step(bool (*decide)(const matrix_prompt *prompt, matrix_buffer *choice));
/** Steps until the run is over; the number of ticks that this took. */
size_t fake_play(bool (*decide)(const matrix_prompt *prompt, matrix_buffer *choice));
/** How many seats are asked now. */
size_t fake_prompt_count(void);
/** One of the prompts. */
matrix_prompt fake_prompt(size_t place);
/** A figure of the last tick; 0 where there is none of this name. */
double fake_figure(const char *name);
/** How many things happened in the last tick. */
size_t fake_event_count(void);
/** What one of them was called, and what it said. */
const char *fake_event(size_t place, matrix_content *content);
/** Whether the run is over. */
bool fake_is_finished(void);
/** Sends the rules a text; their reply, or their refusal, as text that is good until the next call. */
const char *fake_ask_rules(const char *text);
/** What the rules show, as text. */
const char *fake_show(void);
/** Gives the rules a state; false: it was refused. */
bool fake_restore_rules(const char *schema, matrix_bytes state);

/* Stages of the transport. */

/** Another instance, with these settings, an even number of texts that ends with NULL; false: they were refused. */
bool fake_configure(matrix_buffer *why, ...);
/** What becomes of a message of this type and body, from `soul:ada` to `soul:bob`, that leaves or arrives; `changed` holds the rest. */
matrix_verdict fake_judge(bool leaves, const char *content_type, matrix_bytes body, matrix_reply *changed);

#endif
