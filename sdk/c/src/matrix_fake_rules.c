/* Rules and stages of the transport in tests. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "matrix_fake.h"
#include "matrix_inside.h"

/* A test has the one or the other, or none. */
#pragma weak matrix_rules
#pragma weak matrix_interceptor

/* The most players, and settings, of a test. */
#define MANY 128
/* More ticks than a run of a test has. */
#define TICKS_MAX 1000000

static matrix_outcome last;
/* Its prompts, and how many there are. */
static matrix_prompt *asked;
static size_t asked_count;
static size_t player_count;
static matrix_buffer said;

static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static void clear_outcome(matrix_outcome *outcome) {
    struct matrix_happening *events = (struct matrix_happening *)outcome->events.data;
    struct matrix_figure_of_outcome *signals = (struct matrix_figure_of_outcome *)outcome->signals.data;
    for (size_t at = 0; at < outcome->events.length / sizeof *events; at++) {
        matrix_free(&events[at].kind), matrix_free(&events[at].content_type), matrix_free(&events[at].body);
    }
    for (size_t at = 0; at < outcome->signals.length / sizeof *signals; at++) matrix_free(&signals[at].name);
    matrix_free(&outcome->heads), matrix_free(&outcome->bytes), matrix_free(&outcome->events), matrix_free(&outcome->signals);
    outcome->finished = false;
}

static bool is_kind(matrix_bytes kind) {
    for (size_t at = 0; at < kind.length; at++) {
        uint8_t byte = kind.data[at];
        bool is_fine = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' || byte == '.';
        if (!is_fine) return false;
    }
    return kind.length >= 1 && kind.length <= 64;
}

static void unpack(void) {
    const uint32_t *head = (const uint32_t *)last.heads.data;
    size_t at = 0;
    asked_count = last.heads.length / (MATRIX_PROMPT_WORDS * sizeof *head);
    free(asked);
    asked = calloc(asked_count + 1, sizeof *asked);
    for (size_t place = 0; place < asked_count; at += head[2], place++, head += MATRIX_PROMPT_WORDS) {
        uint64_t bits = (uint64_t)head[4] << 32 | head[5];
        asked[place] = (matrix_prompt){head[0], head[1], {last.bytes.data + at, head[2]}, 0, head[3] != 0};
        memcpy(&asked[place].reward, &bits, sizeof bits);
    }
}

/* Takes an outcome up as a node does. */
static void take(matrix_outcome *outcome) {
    clear_outcome(&last);
    last = *outcome;
    unpack();
    for (size_t at = 0; at < asked_count; at++) {
        matrix_prompt prompt = asked[at];
        if (prompt.player >= player_count) fail("player %u is asked, and there are %zu", prompt.player, player_count);
        if (!isfinite(prompt.reward)) fail("the reward of seat %u of player %u is no number", prompt.seat, prompt.player);
        for (size_t other = 0; other < at; other++) {
            if (asked[other].player == prompt.player && asked[other].seat == prompt.seat) {
                fail("seat %u of player %u is asked twice in one tick", prompt.seat, prompt.player);
            }
        }
    }
    struct matrix_figure_of_outcome *signals = (struct matrix_figure_of_outcome *)last.signals.data;
    for (size_t at = 0; at < last.signals.length / sizeof *signals; at++) {
        if (!isfinite(signals[at].value)) fail("the signal `%.*s` is no number", (int)signals[at].name.length, (char *)signals[at].name.data);
    }
    struct matrix_happening *events = (struct matrix_happening *)last.events.data;
    for (size_t at = 0; at < fake_event_count(); at++) {
        if (!is_kind(matrix_view(&events[at].kind))) fail("the kind of an event is `%s`", fake_event(at, &(matrix_content){0}));
    }
}

bool fake_start(matrix_buffer *why, uint64_t seed, const char *config, ...) {
    matrix_bytes players[MANY];
    matrix_outcome outcome = {0};
    va_list names;
    va_start(names, config);
    player_count = 0;
    for (const char *name; (name = va_arg(names, const char *)) != NULL;) {
        if (player_count == MANY) fail("a test has at most %d players", MANY);
        players[player_count++] = matrix_text(name);
    }
    va_end(names);
    matrix_setup setup = {matrix_text(config), seed, players, player_count};
    if (!matrix_rules.start(&setup, &outcome, why)) return false;
    take(&outcome);
    return true;
}

/* All of an outcome, and of the state behind it, as bytes that can be compared. */
static void fingerprint(const matrix_outcome *outcome, matrix_buffer *all) {
    matrix_append(all, outcome->heads.data, outcome->heads.length);
    matrix_append(all, outcome->bytes.data, outcome->bytes.length);
    const struct matrix_happening *events = (const struct matrix_happening *)outcome->events.data;
    for (size_t at = 0; at < outcome->events.length / sizeof *events; at++) {
        matrix_print(all, "%zu %zu %zu ", events[at].kind.length, events[at].content_type.length, events[at].body.length);
        matrix_append(all, events[at].kind.data, events[at].kind.length);
        matrix_append(all, events[at].content_type.data, events[at].content_type.length);
        matrix_append(all, events[at].body.data, events[at].body.length);
    }
    const struct matrix_figure_of_outcome *signals = (const struct matrix_figure_of_outcome *)outcome->signals.data;
    for (size_t at = 0; at < outcome->signals.length / sizeof *signals; at++) {
        matrix_append(all, signals[at].name.data, signals[at].name.length);
        matrix_append(all, &signals[at].value, sizeof signals[at].value);
    }
    matrix_print(all, "%d", outcome->finished);
    matrix_buffer state = {0};
    if (!matrix_rules.snapshot(&state)) fail("no state is given: %.*s", (int)state.length, (const char *)state.data);
    matrix_append(all, state.data, state.length);
    matrix_free(&state);
}

bool fake_step(bool (*decide)(const matrix_prompt *, matrix_buffer *)) {
    size_t all = asked_count, count = 0;
    matrix_action *actions = calloc(all + 1, sizeof *actions);
    matrix_buffer *choices = calloc(all + 1, sizeof *choices), before = {0}, once = {0}, twice = {0}, why = {0};
    for (size_t at = 0; at < all; at++) {
        if (asked[at].is_final) continue;
        bool is_given = decide(&asked[at], &choices[at]);
        actions[count++] = (matrix_action){asked[at].player, asked[at].seat, is_given, matrix_view(&choices[at])};
    }
    matrix_outcome outcome = {0}, again = {0};
    if (!matrix_rules.snapshot(&before)) fail("no state is given: %.*s", (int)before.length, (const char *)before.data);
    bool is_done = matrix_rules.step(actions, count, &outcome, &why);
    if (is_done) {
        fingerprint(&outcome, &once);
        bool is_back = matrix_rules.restore(matrix_text(matrix_rules.schema), matrix_view(&before), &why) &&
                       matrix_rules.step(actions, count, &again, &why);
        if (!is_back) fail("their own state leads nowhere: %.*s", (int)why.length, (const char *)why.data);
        fingerprint(&again, &twice);
        if (once.length != twice.length || memcmp(once.data, twice.data, once.length) != 0) {
            fail("from their own state they went on in another way");
        }
        take(&outcome);
    }
    for (size_t at = 0; at < all; at++) matrix_free(&choices[at]);
    clear_outcome(&again);
    free(actions), free(choices);
    matrix_free(&before), matrix_free(&once), matrix_free(&twice), matrix_free(&why);
    return is_done;
}

size_t fake_play(bool (*decide)(const matrix_prompt *, matrix_buffer *)) {
    size_t ticks = 0;
    for (; !last.finished; ticks++) {
        if (ticks == TICKS_MAX) fail("the run is not over after %d ticks", TICKS_MAX);
        if (!fake_step(decide)) fail("the rules refused a step");
    }
    return ticks;
}

size_t fake_prompt_count(void) { return asked_count; }

matrix_prompt fake_prompt(size_t place) { return asked[place]; }

double fake_figure(const char *name) {
    struct matrix_figure_of_outcome *signals = (struct matrix_figure_of_outcome *)last.signals.data;
    for (size_t at = 0; at < last.signals.length / sizeof *signals; at++) {
        if (matrix_is(matrix_view(&signals[at].name), name)) return signals[at].value;
    }
    return 0;
}

size_t fake_event_count(void) { return last.events.length / sizeof(struct matrix_happening); }

/* A text of C that is good until the next call. */
static const char *text_of(matrix_bytes bytes) {
    matrix_clear(&said);
    matrix_append(&said, bytes.data, bytes.length);
    matrix_append(&said, "", 1);
    return (const char *)said.data;
}

const char *fake_event(size_t place, matrix_content *content) {
    struct matrix_happening *event = (struct matrix_happening *)last.events.data + place;
    *content = (matrix_content){matrix_view(&event->content_type), matrix_view(&event->body)};
    return text_of(matrix_view(&event->kind));
}

bool fake_is_finished(void) { return last.finished; }

static const char *replied(matrix_reply *reply) {
    const char *text = text_of(matrix_view(&reply->body));
    matrix_free(&reply->body), matrix_free(&reply->content_type);
    return text;
}

const char *fake_ask_rules(const char *text) {
    matrix_reply reply = {0};
    matrix_message message = {
        .id = {0, 0, 0, 1},
        .sender = {MATRIX_CLIENT, matrix_text("test")},
        .content = matrix_plain(matrix_text(text)),
        .sent_at = fake_now,
    };
    if (matrix_rules.receive == NULL) matrix_refuse(&reply.body, "these rules take no messages");
    else matrix_rules.receive(&message, &reply);
    return replied(&reply);
}

const char *fake_show(void) {
    matrix_reply view = {0};
    matrix_rules.view(&view);
    return replied(&view);
}

bool fake_restore_rules(const char *schema, matrix_bytes state) {
    matrix_buffer why = {0};
    bool is_taken = matrix_rules.restore(matrix_text(schema), state, &why);
    matrix_free(&why);
    return is_taken;
}

bool fake_configure(matrix_buffer *why, ...) {
    matrix_entry settings[MANY];
    size_t count = 0;
    va_list texts;
    va_start(texts, why);
    for (const char *name; (name = va_arg(texts, const char *)) != NULL;) {
        if (count == MANY) fail("a test has at most %d settings", MANY);
        settings[count++] = (matrix_entry){matrix_text(name), matrix_text(va_arg(texts, const char *)), 0};
    }
    va_end(texts);
    return matrix_interceptor.configured == NULL || matrix_interceptor.configured(settings, count, why);
}

matrix_verdict fake_judge(bool leaves, const char *content_type, matrix_bytes body, matrix_reply *changed) {
    matrix_passing passing = {
        .message = {
            .id = {0, 0, 0, 1},
            .sender = {MATRIX_SOUL, matrix_text("ada")},
            .content = {matrix_text(content_type), body},
            .sent_at = fake_now,
        },
        .recipient = {MATRIX_SOUL, matrix_text("bob")},
    };
    matrix_clear(&changed->content_type), matrix_clear(&changed->body);
    matrix_move_to(fake_now);
    matrix_verdict (*judge)(const matrix_passing *, matrix_reply *) = leaves ? matrix_interceptor.outbound : matrix_interceptor.inbound;
    return judge == NULL ? MATRIX_PASS : judge(&passing, changed);
}
