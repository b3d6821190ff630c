/*
 * Rules of the iterated prisoner's dilemma: a round robin in which all matches are played side by side, one turn a tick.
 *
 * What seats see and answer is told in `guests/models/dilemma/src/wire.rs`. A player's seats are numbered by its opponents: in seat `i` it
 * plays against player `i`; against itself, in the seat of its own number and in one more, whose number is the count of players. The state
 * is that of `guests/rules/ipd`, byte for byte: a Matrix may go from these rules to those, and back, between two ticks.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "matrix_rules.h"

#define SCHEMA "ipd/1"
#define PLAYERS_MIN 2
#define PLAYERS_MAX 100
#define MATCHES_MAX (PLAYERS_MAX * (PLAYERS_MAX + 1) / 2)
/* A run log of more would outgrow what anybody replays; a million turns of such payoffs are still exact in a double. */
#define TURNS_MAX 1000000
#define PAYOFF_MAX 1e9
/* Of the picture: how high a line is, where bars begin, and how long the longest is. */
#define LINE 16
#define LEFT 190
#define BAR 260.0

/* The settings, in their order. */
enum { TURNS, REWARD, SUCKER, TEMPTATION, PUNISHMENT, SELF_PLAY, ON_INVALID, SETTINGS };

static const matrix_setting_of_rules settings[SETTINGS] = {
    {.name = "turns", .type = MATRIX_INTEGER, .by_default = 200, .min = 1, .max = TURNS_MAX,
     .description = "Turns of every match; players are not told."},
    {.name = "payoffs.reward", .type = MATRIX_NUMBER, .by_default = 3, .min = -PAYOFF_MAX, .max = PAYOFF_MAX,
     .description = "Both cooperated."},
    {.name = "payoffs.sucker", .type = MATRIX_NUMBER, .by_default = 0, .min = -PAYOFF_MAX, .max = PAYOFF_MAX,
     .description = "It cooperated, the other defected."},
    {.name = "payoffs.temptation", .type = MATRIX_NUMBER, .by_default = 5, .min = -PAYOFF_MAX, .max = PAYOFF_MAX,
     .description = "It defected, the other cooperated."},
    {.name = "payoffs.punishment", .type = MATRIX_NUMBER, .by_default = 1, .min = -PAYOFF_MAX, .max = PAYOFF_MAX,
     .description = "Both defected."},
    {.name = "self_play", .type = MATRIX_FLAG, .by_default = 1, .description = "Whether every player also meets itself, in two seats."},
    {.name = "on_invalid", .type = MATRIX_WORD, .by_default = 0, .words = "defect cooperate",
     .description = "What a move counts as that did not come, or is neither C nor D."},
};

typedef struct {
    uint32_t players[2];
    double scores[2];
    uint32_t cooperations[2];
    /* What each side did in the last turn: `C` or `D`. */
    uint8_t last[2];
} match;

typedef struct {
    matrix_buffer names[PLAYERS_MAX];
    double settings[SETTINGS];
    uint32_t players, turn, match_count;
    match matches[MATCHES_MAX];
} tournament;

static tournament game;
/* What is being read, until it is known to be whole. */
static tournament candidate;

static bool is_over(void) { return game.turn >= game.settings[TURNS]; }

/* Lays out the matches of so many players. */
static void lay_out(tournament *it) {
    it->match_count = 0;
    for (uint32_t a = 0; a < it->players; a++) {
        for (uint32_t b = it->settings[SELF_PLAY] != 0 ? a : a + 1; b < it->players; b++) {
            it->matches[it->match_count++] = (match){.players = {a, b}, .last = {'C', 'C'}};
        }
    }
}

/* The match and the side that a player's seat plays; NULL: there is no such seat. */
static match *match_of(uint32_t player, uint32_t seat, int *side) {
    bool self_play = game.settings[SELF_PLAY] != 0, against_itself = seat == player || seat == game.players;
    if (player >= game.players || seat > game.players || (against_itself && !self_play)) return NULL;
    uint32_t opponent = seat == game.players ? player : seat;
    uint32_t low = player < opponent ? player : opponent, high = player < opponent ? opponent : player;
    /* The matches of players before `low` fill the triangle above it. */
    uint32_t place = self_play ? low * game.players - low * (low - (low > 0)) / 2 + high - low
                               : low * game.players - low * (low + 1) / 2 + high - low - 1;
    *side = player > opponent || seat == game.players;
    return &game.matches[place];
}

/* What a side earned in the last turn. */
static double earned(const match *it, int side) {
    bool mine = it->last[side] == 'C', theirs = it->last[1 - side] == 'C';
    return game.settings[mine ? (theirs ? REWARD : SUCKER) : (theirs ? TEMPTATION : PUNISHMENT)];
}

/* Asks every seat of every player, in order: what it sees, and what its last move earned. */
static void ask(matrix_outcome *outcome) {
    uint8_t first[32];
    memcpy(first, &game.settings[REWARD], sizeof first);
    for (uint32_t player = 0; player < game.players; player++) {
        for (uint32_t seat = 0; seat <= game.players; seat++) {
            int side = 0;
            const match *it = match_of(player, seat, &side);
            if (it == NULL) continue;
            uint8_t later[2] = {it->last[side], it->last[1 - side]};
            matrix_prompt prompt = {.player = player, .seat = seat, .observation = {first, sizeof first}};
            if (game.turn > 0) {
                prompt.observation = (matrix_bytes){later, sizeof later};
                prompt.reward = earned(it, side);
                prompt.is_final = is_over();
            }
            matrix_ask_seat(outcome, prompt);
        }
    }
}

static bool start(const matrix_setup *setup, matrix_outcome *outcome, matrix_buffer *why) {
    if (!matrix_read_settings(setup->config, settings, SETTINGS, game.settings, why)) return false;
    if (setup->player_count < PLAYERS_MIN || setup->player_count > PLAYERS_MAX) {
        return matrix_refuse(why, "%zu players given: these rules take %d to %d", setup->player_count, PLAYERS_MIN, PLAYERS_MAX);
    }
    game.players = (uint32_t)setup->player_count;
    game.turn = 0;
    for (uint32_t player = 0; player < game.players; player++) {
        matrix_clear(&game.names[player]);
        matrix_append(&game.names[player], setup->players[player].data, setup->players[player].length);
    }
    lay_out(&game);
    ask(outcome);
    return true;
}

/* How a player did. */
typedef struct {
    uint32_t player;
    double total, own, cooperation;
} standing;

static int by_total(const void *a, const void *b) {
    const standing *first = a, *second = b;
    if (first->total != second->total) return first->total < second->total ? 1 : -1;
    return first->player < second->player ? -1 : first->player > second->player;
}

/* The best first, by what they earned against all others; those who earned the same in the order of their numbers. */
static void stand(standing *standings) {
    for (uint32_t player = 0; player < game.players; player++) {
        standing found = {.player = player};
        double cooperations = 0, sides = 0;
        for (uint32_t seat = 0; seat <= game.players; seat++) {
            int side = 0;
            const match *it = match_of(player, seat, &side);
            if (it == NULL) continue;
            if (it->players[0] == it->players[1]) found.own += it->scores[side] / 2;
            else found.total += it->scores[side];
            cooperations += it->cooperations[side], sides += 1;
        }
        double moves = sides * game.turn;
        found.cooperation = moves > 0 ? cooperations / moves : 0;
        standings[player] = found;
    }
    qsort(standings, game.players, sizeof *standings, by_total);
}

static void tell(matrix_outcome *outcome) {
    matrix_buffer said = {0};
    for (uint32_t place = 0; place < game.match_count; place++) {
        const match *it = &game.matches[place];
        matrix_clear(&said);
        matrix_print(&said, "{\"players\":[");
        matrix_print_json(&said, matrix_view(&game.names[it->players[0]]));
        matrix_print(&said, ",");
        matrix_print_json(&said, matrix_view(&game.names[it->players[1]]));
        matrix_print(&said, "],\"scores\":[%.17g,%.17g],\"cooperations\":[%" PRIu32 ",%" PRIu32 "]}", it->scores[0], it->scores[1],
                     it->cooperations[0], it->cooperations[1]);
        matrix_tell(outcome, "match.finished", (matrix_content){matrix_text("application/json"), matrix_view(&said)});
    }
    standing standings[PLAYERS_MAX];
    stand(standings);
    bool self_play = game.settings[SELF_PLAY] != 0;
    matrix_clear(&said);
    matrix_print(&said, "{\"turns\":%" PRIu32 ",\"matches\":%" PRIu32 ",\"self_play\":%s,\"ranking\":[", game.turn, game.match_count,
                 self_play ? "true" : "false");
    for (uint32_t rank = 0; rank < game.players; rank++) {
        const standing *it = &standings[rank];
        matrix_print(&said, "%s{\"rank\":%" PRIu32 ",\"player\":", rank > 0 ? "," : "", rank + 1);
        matrix_print_json(&said, matrix_view(&game.names[it->player]));
        matrix_print(&said, ",\"total_without_self_play\":%.17g", it->total);
        if (self_play) matrix_print(&said, ",\"total_with_self_play\":%.17g", it->total + it->own);
        matrix_print(&said, ",\"cooperation_rate\":%.17g}", it->cooperation);
    }
    matrix_print(&said, "]}");
    matrix_tell(outcome, "tournament.finished", (matrix_content){matrix_text("application/json"), matrix_view(&said)});
    matrix_free(&said);
}

static bool step(const matrix_action *actions, size_t count, matrix_outcome *outcome, matrix_buffer *why) {
    (void)why;
    if (is_over()) return matrix_finish(outcome), true;
    uint8_t invalid = game.settings[ON_INVALID] == 0 ? 'D' : 'C';
    for (uint32_t place = 0; place < game.match_count; place++) memset(game.matches[place].last, invalid, 2);
    for (size_t at = 0; at < count; at++) {
        int side = 0;
        match *it = match_of(actions[at].player, actions[at].seat, &side);
        matrix_bytes choice = actions[at].choice;
        bool is_move = actions[at].is_given && choice.length == 1 && (choice.data[0] == 'C' || choice.data[0] == 'D');
        if (it != NULL && is_move) it->last[side] = choice.data[0];
    }
    double cooperated = 0, paid = 0, sides = 2.0 * game.match_count;
    for (uint32_t place = 0; place < game.match_count; place++) {
        match *it = &game.matches[place];
        double pays[2] = {earned(it, 0), earned(it, 1)};
        for (int side = 0; side < 2; side++) {
            it->scores[side] += pays[side];
            it->cooperations[side] += it->last[side] == 'C';
            cooperated += it->last[side] == 'C';
        }
        paid += pays[0] + pays[1];
    }
    game.turn++;
    ask(outcome);
    matrix_signal(outcome, "cooperation.rate", sides > 0 ? cooperated / sides : 0);
    matrix_signal(outcome, "payoff.mean", sides > 0 ? paid / sides : 0);
    if (is_over()) matrix_finish(outcome), tell(outcome);
    return true;
}

static bool snapshot(matrix_buffer *state) {
    uint8_t flags[2] = {game.settings[SELF_PLAY] != 0, game.settings[ON_INVALID] == 0};
    matrix_put(state, game.players);
    for (uint32_t player = 0; player < game.players; player++) {
        matrix_put(state, game.names[player].length);
        matrix_append(state, game.names[player].data, game.names[player].length);
    }
    matrix_put(state, (uint64_t)game.settings[TURNS]);
    matrix_append(state, &game.settings[REWARD], 4 * sizeof(double));
    matrix_append(state, flags, sizeof flags);
    matrix_put(state, game.players), matrix_put(state, game.turn), matrix_put(state, game.match_count);
    for (uint32_t place = 0; place < game.match_count; place++) {
        const match *it = &game.matches[place];
        uint8_t defected[2] = {it->last[0] == 'D', it->last[1] == 'D'};
        matrix_put(state, it->players[0]), matrix_put(state, it->players[1]);
        matrix_append(state, it->scores, sizeof it->scores);
        matrix_put(state, it->cooperations[0]), matrix_put(state, it->cooperations[1]);
        matrix_append(state, defected, sizeof defected);
    }
    return true;
}

/* Takes a number of at most so much off the front; false: there is none. */
static bool take_number(matrix_bytes *rest, uint64_t most, uint64_t *number) { return matrix_take(rest, number) && *number <= most; }

static bool take_double(matrix_bytes *rest, double most, double *number) {
    matrix_bytes taken;
    if (!matrix_take_bytes(rest, sizeof *number, &taken)) return false;
    memcpy(number, taken.data, sizeof *number);
    return isfinite(*number) && fabs(*number) <= most;
}

/* Reads what stands before the matches. */
static bool read_head(tournament *it, matrix_bytes *rest) {
    uint64_t count, turns, self_play, defects, again, turn;
    if (!take_number(rest, PLAYERS_MAX, &count) || count < PLAYERS_MIN) return false;
    for (uint64_t player = 0; player < count; player++) {
        uint64_t length;
        matrix_bytes name;
        if (!matrix_take(rest, &length) || length > rest->length || !matrix_take_bytes(rest, (size_t)length, &name)) return false;
        if (!matrix_is_utf8(name)) return false;
        matrix_clear(&it->names[player]);
        matrix_append(&it->names[player], name.data, name.length);
    }
    if (!take_number(rest, TURNS_MAX, &turns) || turns == 0) return false;
    for (int payoff = REWARD; payoff <= PUNISHMENT; payoff++) {
        if (!take_double(rest, PAYOFF_MAX, &it->settings[payoff])) return false;
    }
    if (!take_number(rest, 1, &self_play) || !take_number(rest, 1, &defects)) return false;
    if (!take_number(rest, count, &again) || again != count || !take_number(rest, turns, &turn)) return false;
    it->settings[TURNS] = (double)turns, it->settings[SELF_PLAY] = (double)self_play, it->settings[ON_INVALID] = defects == 0;
    it->players = (uint32_t)count, it->turn = (uint32_t)turn;
    return true;
}

static bool read_matches(tournament *it, matrix_bytes *rest) {
    uint64_t number;
    lay_out(it);
    if (!matrix_take(rest, &number) || number != it->match_count) return false;
    for (uint32_t place = 0; place < it->match_count; place++) {
        match *one = &it->matches[place];
        for (int side = 0; side < 2; side++) {
            if (!matrix_take(rest, &number) || number != one->players[side]) return false;
        }
        for (int side = 0; side < 2; side++) {
            if (!take_double(rest, PAYOFF_MAX * TURNS_MAX, &one->scores[side])) return false;
        }
        for (int side = 0; side < 2; side++) {
            if (!take_number(rest, it->turn, &number)) return false;
            one->cooperations[side] = (uint32_t)number;
        }
        for (int side = 0; side < 2; side++) {
            if (!take_number(rest, 1, &number)) return false;
            one->last[side] = number == 1 ? 'D' : 'C';
        }
    }
    return rest->length == 0;
}

static bool restore(matrix_bytes schema, matrix_bytes state, matrix_buffer *why) {
    if (!matrix_is(schema, SCHEMA)) {
        return matrix_refuse(why, "cannot take up %zu bytes of schema `%.*s`: this code reads `" SCHEMA "`", state.length,
                             (int)schema.length, (const char *)schema.data);
    }
    if (!read_head(&candidate, &state) || !read_matches(&candidate, &state)) return matrix_refuse(why, "not a state of `" SCHEMA "`");
    /* The buffers of both are kept. */
    static tournament before;
    before = game, game = candidate, candidate = before;
    return true;
}

static void view(matrix_reply *shown) {
    standing standings[PLAYERS_MAX];
    matrix_buffer svg = {0};
    double longest = 0;
    stand(standings);
    for (uint32_t rank = 0; rank < game.players; rank++) longest = fmax(longest, fabs(standings[rank].total));
    matrix_print(&svg, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 540 %" PRIu32 "\" font-size=\"11\">\n",
                 60 + LINE * game.players);
    matrix_print(&svg, "<text x=\"12\" y=\"22\" font-size=\"15\">Iterated prisoner's dilemma, turn %" PRIu32 " of %.0f</text>\n", game.turn,
                 game.settings[TURNS]);
    for (uint32_t rank = 0; rank < game.players; rank++) {
        const standing *it = &standings[rank];
        uint32_t y = 40 + LINE * rank;
        double length = longest > 0 ? fmax(it->total, 0) / longest * BAR : 0;
        matrix_print(&svg, "<text x=\"%d\" y=\"%" PRIu32 "\" text-anchor=\"end\">", LEFT - 6, y + 11);
        matrix_print_xml(&svg, matrix_view(&game.names[it->player]));
        matrix_print(&svg, "</text>\n<rect x=\"%d\" y=\"%" PRIu32 "\" width=\"%.1f\" height=\"%d\" fill=\"#4a7bb7\"/>\n", LEFT, y, length,
                     LINE - 3);
        matrix_print(&svg, "<text x=\"%.1f\" y=\"%" PRIu32 "\">%g</text>\n", LEFT + length + 5, y + 11, it->total);
    }
    matrix_print(&svg, "</svg>\n");
    matrix_answer_content(shown, (matrix_content){matrix_text("image/svg+xml"), matrix_view(&svg)});
    matrix_free(&svg);
}

const matrix_rules_definition matrix_rules = {
    .name = "ipd",
    .version = "0.1.0",
    .observation_type = "application/vnd.matrix.ipd.observation;discrete=5",
    .action_type = "application/vnd.matrix.ipd.action;discrete=2;values=\"C D\"",
    .players_min = PLAYERS_MIN,
    .players_max = PLAYERS_MAX,
    .settings = settings,
    .setting_count = SETTINGS,
    .start = start,
    .step = step,
    .view = view,
    .schema = SCHEMA,
    .snapshot = snapshot,
    .restore = restore,
};
