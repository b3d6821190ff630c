/**
 * Write the rules of a Matrix in C.
 *
 * Rules fill in one `matrix_rules` and are linked with the files of `sdk/c/src`; `EXPORTS=rules,stateful` says so where they are built.
 * They see only what is passed in: no clock, no chance but the seed (`matrix_chance`). The same setup and the same actions give the same
 * outcomes and the same state, on every machine. See `guests/c/ipd.c` for whole ones.
 */
#ifndef MATRIX_RULES_H
#define MATRIX_RULES_H

#include "matrix_soul.h"

/** The generator xoshiro256++: the same numbers as in the SDKs of all languages. It belongs to the state. */
typedef struct {
    uint64_t words[4];
} matrix_chance;

/** The generator of a seed, its state filled by SplitMix64. */
matrix_chance matrix_chance_of(uint64_t seed);
/** The next 64 bits. */
uint64_t matrix_draw(matrix_chance *chance);
/** A number below `bound`, each as likely as the others; 0 where the bound is 0. */
uint32_t matrix_draw_below(matrix_chance *chance, uint32_t bound);
/** A number from 0 up to, and without, 1. */
double matrix_draw_unit(matrix_chance *chance);

/** What a setting may be. */
typedef enum {
    /** `true` or `false`, read as 1 or 0. */
    MATRIX_FLAG,
    /** A whole number, which a double holds exactly. */
    MATRIX_INTEGER,
    /** A number. */
    MATRIX_NUMBER,
    /** One of some words, read as its place among them, from 0. */
    MATRIX_WORD,
} matrix_setting_type;

/** A setting of rules. `{.name = "turns", .type = MATRIX_INTEGER, .by_default = 200, .min = 1, .max = 1000}` */
typedef struct {
    /** `turns`; `payoffs.reward` is `reward` in the object `payoffs`, whose settings stand side by side. */
    const char *name;
    matrix_setting_type type;
    double by_default;
    /** Of numbers. Both 0: any number. */
    double min, max;
    /** Of words, with spaces between. */
    const char *words;
    /** For people: what it is for. May be NULL. */
    const char *description;
} matrix_setting_of_rules;

/** Reads settings from JSON, an empty text standing for every default, into `values`: one a setting, in their order. */
bool matrix_read_settings(matrix_bytes config, const matrix_setting_of_rules *settings, size_t count, double *values,
                          matrix_buffer *why);
/** Writes the JSON Schema of settings. */
void matrix_write_schema(matrix_buffer *schema, const matrix_setting_of_rules *settings, size_t count);

/** Writes text as a string of JSON, in its quotes. */
void matrix_print_json(matrix_buffer *buffer, matrix_bytes text);
/** Writes text as it may stand in a document of XML. */
void matrix_print_xml(matrix_buffer *buffer, matrix_bytes text);

/** What a Matrix starts from. */
typedef struct {
    /** JSON: for `matrix_read_settings`. */
    matrix_bytes config;
    /** The only source of chance: for `matrix_chance_of`. */
    uint64_t seed;
    /** The players' names; a player is its place among them from here on. */
    const matrix_bytes *players;
    size_t player_count;
} matrix_setup;

/** Asks a player for an action. */
typedef struct {
    /** Whom to ask: a place in the setup's players. */
    uint32_t player;
    /** Which of its seats is asked. */
    uint32_t seat;
    /** What the seat sees. */
    matrix_bytes observation;
    /** What the seat's last action earned. */
    double reward;
    /** The seat's game is over: the player is told, and its answer dropped. */
    bool is_final;
} matrix_prompt;

/** A player's answer to a prompt. */
typedef struct {
    uint32_t player;
    uint32_t seat;
    /** False: the player did not answer in time, or failed. */
    bool is_given;
    matrix_bytes choice;
} matrix_action;

/** What a tick led to. Without prompts, and not finished: the next step follows at once. */
typedef struct matrix_outcome matrix_outcome;
/** Asks a seat for its next action. */
void matrix_ask_seat(matrix_outcome *outcome, matrix_prompt prompt);
/** Tells whoever watches what happened; `kind` is a dotted name, such as `match.finished`. */
void matrix_tell(matrix_outcome *outcome, const char *kind, matrix_content content);
/** Adds a figure of the whole, by a dotted name. */
void matrix_signal(matrix_outcome *outcome, const char *name, double value);
/** The run is over; prompts that come with it are final ones. */
void matrix_finish(matrix_outcome *outcome);

/** What rules are. Functions return false to refuse, with the reason in the buffer (`matrix_refuse`). */
typedef struct {
    /** Of the rules, such as `ipd`, and their version, as semantic versioning has it. */
    const char *name, *version;
    /** Media types of what players see and answer; `text/plain` where they are NULL. */
    const char *observation_type, *action_type;
    /** The fewest and the most players that they take. */
    uint32_t players_min, players_max;
    const matrix_setting_of_rules *settings;
    size_t setting_count;
    /** Sets a Matrix up, and asks for the first actions. */
    bool (*start)(const matrix_setup *setup, matrix_outcome *outcome, matrix_buffer *why);
    /**
     * Advances by one tick. One action comes for each prompt that was not final, in their order. Actions are untrusted: a wrong one is
     * the player's loss. A refusal stops the Matrix, never for what a player did.
     */
    bool (*step)(const matrix_action *actions, size_t count, matrix_outcome *outcome, matrix_buffer *why);
    /** A player comes; its place is written. NULL: none may. */
    bool (*join)(matrix_bytes player, uint32_t *place, matrix_buffer *why);
    /** A player goes. NULL: none may. */
    bool (*leave)(uint32_t player, matrix_buffer *why);
    /** A message sent to the Matrix's address. NULL: all are refused. */
    bool (*receive)(const matrix_message *message, matrix_reply *reply);
    /** Writes the present state as people would look at it, `image/svg+xml` or `application/json`: for `matrix_answer_content`. */
    void (*view)(matrix_reply *view);
    /** Names the layout of the state, such as `coin/1`. */
    const char *schema;
    /** Writes the whole state. The same state gives the same bytes. */
    bool (*snapshot)(matrix_buffer *state);
    /** Takes up a state, instead of being started or in place of the one that there is. A refusal changes nothing. */
    bool (*restore)(matrix_bytes schema, matrix_bytes state, matrix_buffer *why);
} matrix_rules_definition;

/** The rules of this component: defined by their author. */
extern const matrix_rules_definition matrix_rules;

#endif
