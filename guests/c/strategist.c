/* Plays the iterated prisoner's dilemma by one of twelve strategies, as those of the same names in Axelrod-Python do.
 *
 * The setting `strategy` names it, and is required. To the message `who` it answers with that name. What seats see and answer is told in
 * `guests/models/dilemma/src/wire.rs`. */
#include <stdlib.h>
#include <string.h>

#include "matrix_soul.h"

/* How many games are remembered at once. */
#define GAMES_MAX 4096
/* For how many turns Gradual is kind after a punishment, so that a grudge can end. */
#define CALM_TURNS 2
/* Bytes of a first observation: the payoffs, which none of these strategies looks at. */
#define FIRST_BYTES 32
/* Bytes of the name of a Matrix, and more than any has. */
#define NAME_BYTES 256

/* What happened so far in one seat's game, and what its strategy keeps in mind. All numbers, so that it is saved as they stand. */
typedef struct {
    uint64_t seat, turns, i_defected, recent, defections, punish, calm;
} game;
#define GAME_NUMBERS (sizeof(game) / sizeof(uint64_t))

/* A game, and the Matrix that it is in. They are kept in no order but that of their beginnings, which the messages give. */
typedef struct {
    matrix_buffer matrix;
    game game;
} entry;

static entry entries[GAMES_MAX];
static size_t entry_count;

static bool gradual(game *it) {
    if (it->punish > 0) {
        it->punish--;
        return true;
    }
    if (it->calm > 0) {
        it->calm--;
        return false;
    }
    if (it->recent & 1) {
        /* This turn is the first of the punishment. */
        it->punish = it->defections - 1;
        it->calm = CALM_TURNS;
    }
    return it->recent & 1;
}

static bool cooperator(game *it) { return (void)it, false; }
static bool defector(game *it) { return (void)it, true; }
static bool tit_for_tat(game *it) { return it->recent & 1; }
static bool tit_for_2_tats(game *it) { return (it->recent & 3) == 3; }
static bool suspicious(game *it) { return it->turns == 0 || (it->recent & 1); }
static bool grudger(game *it) { return it->defections > 0; }
static bool alternator(game *it) { return it->turns > 0 && !it->i_defected; }
static bool unless_alike(game *it) { return it->i_defected != (it->recent & 1); }
static bool majority(game *it) { return 2 * it->defections > it->turns; }
static bool bully(game *it) { return !(it->recent & 1); }

/* Whether to defect, by what happened. */
static const struct {
    const char *name;
    bool (*defects)(game *);
} strategies[] = {
    {"Cooperator", cooperator},     {"Defector", defector},
    {"TitForTat", tit_for_tat},     {"TitFor2Tats", tit_for_2_tats},
    {"SuspiciousTitForTat", suspicious}, {"Grudger", grudger},
    {"Alternator", alternator},     {"WinStayLoseShift", unless_alike},
    {"GoByMajority", majority},     {"Bully", bully},
    {"Appeaser", unless_alike},     {"Gradual", gradual},
};
#define STRATEGIES (sizeof strategies / sizeof *strategies)

static size_t strategy = STRATEGIES;

static bool born(const matrix_birth *birth, matrix_buffer *why) {
    matrix_bytes name;
    bool is_set = matrix_setting(birth, "strategy", &name);
    for (size_t place = 0; is_set && place < STRATEGIES; place++) {
        if (matrix_is(name, strategies[place].name)) {
            strategy = place;
            return true;
        }
    }
    matrix_refuse(why, "set `strategy` in the Soul's config to one of");
    for (size_t place = 0; place < STRATEGIES; place++) {
        matrix_print(why, "%s %s", place > 0 ? "," : "", strategies[place].name);
    }
    return false;
}

static bool receive(const matrix_message *message, matrix_reply *reply) {
    if (!matrix_is(message->content.body, "who")) return matrix_refuse(&reply->body, "say `who`");
    return matrix_answer(reply, "%s", strategies[strategy].name);
}

/* The place of a seat's game; `entry_count`: it has none. */
static size_t find(matrix_bytes matrix, uint32_t seat) {
    size_t place = 0;
    for (; place < entry_count; place++) {
        matrix_bytes held = matrix_view(&entries[place].matrix);
        bool is_same = held.length == matrix.length && memcmp(held.data, matrix.data, held.length) == 0;
        if (is_same && entries[place].game.seat == seat) break;
    }
    return place;
}

static void forget(size_t place) {
    matrix_free(&entries[place].matrix);
    entry_count--;
    memmove(entries + place, entries + place + 1, (entry_count - place) * sizeof *entries);
    entries[entry_count].matrix = (matrix_buffer){0};
}

/* Begins a game; false: too many go on. */
static bool begin(matrix_bytes matrix, const game *it) {
    if (entry_count == GAMES_MAX) return false;
    matrix_append(&entries[entry_count].matrix, matrix.data, matrix.length);
    entries[entry_count++].game = *it;
    return true;
}

static bool act(const matrix_turn *turn, matrix_buffer *action) {
    bool is_first = turn->observation.length == FIRST_BYTES;
    size_t place = find(turn->matrix, turn->seat);
    if ((turn->is_final || is_first) && place < entry_count) {
        forget(place);
        place = entry_count;
    }
    if (turn->is_final) return true;
    if (is_first) {
        game begun = {.seat = turn->seat};
        if (!begin(turn->matrix, &begun)) return matrix_refuse(action, "seat %u: %d games go on already", turn->seat, GAMES_MAX);
    } else if (place == entry_count) {
        return matrix_refuse(action, "seat %u: its game's first turn was never seen", turn->seat);
    } else {
        const uint8_t *moves = turn->observation.data;
        if (turn->observation.length != 2 || (moves[0] != 'C' && moves[0] != 'D') || (moves[1] != 'C' && moves[1] != 'D')) {
            return matrix_refuse(action, "seat %u: %zu bytes that are no observation", turn->seat, turn->observation.length);
        }
        game *it = &entries[place].game;
        it->turns++;
        it->i_defected = moves[0] == 'D';
        it->recent = (it->recent << 1 | (moves[1] == 'D')) & 0xff;
        it->defections += moves[1] == 'D';
    }
    matrix_append(action, strategies[strategy].defects(&entries[place].game) ? "D" : "C", 1);
    return true;
}

static bool snapshot(matrix_buffer *state) {
    matrix_put(state, entry_count);
    for (size_t place = 0; place < entry_count; place++) {
        matrix_bytes matrix = matrix_view(&entries[place].matrix);
        uint64_t numbers[GAME_NUMBERS];
        memcpy(numbers, &entries[place].game, sizeof numbers);
        matrix_put(state, matrix.length);
        matrix_append(state, matrix.data, matrix.length);
        for (size_t number = 0; number < GAME_NUMBERS; number++) matrix_put(state, numbers[number]);
    }
    return true;
}

/* Takes one game off the front of a state; without `keep` it is only looked at. */
static bool take_game(matrix_bytes *state, bool keep) {
    uint64_t length, numbers[GAME_NUMBERS];
    matrix_bytes matrix;
    if (!matrix_take(state, &length) || length > NAME_BYTES || !matrix_take_bytes(state, (size_t)length, &matrix)) return false;
    for (size_t number = 0; number < GAME_NUMBERS; number++) {
        if (!matrix_take(state, numbers + number)) return false;
    }
    game it;
    memcpy(&it, numbers, sizeof it);
    return !keep || begin(matrix, &it);
}

static bool restore(matrix_bytes schema, matrix_bytes state, matrix_buffer *why) {
    if (!matrix_is(schema, "strategist-c/1")) return matrix_refuse(why, "cannot take up a state: this code reads `strategist-c/1` alone");
    /* Gone through twice: what is refused must change nothing. */
    for (int keep = 0; keep < 2; keep++) {
        matrix_bytes rest = state;
        uint64_t games;
        bool is_sound = matrix_take(&rest, &games) && games <= GAMES_MAX;
        while (keep && entry_count > 0) forget(entry_count - 1);
        for (uint64_t number = 0; is_sound && number < games; number++) is_sound = take_game(&rest, keep);
        if (!is_sound || rest.length > 0) return matrix_refuse(why, "not a state of schema `strategist-c/1`");
    }
    return true;
}

const matrix_soul_definition matrix_soul = {
    .born = born,
    .receive = receive,
    .schema = "strategist-c/1",
    .snapshot = snapshot,
    .restore = restore,
    .act = act,
};
