/* The rules of the dilemma in C, in a fake node, held to the table that they are given. */
#include <inttypes.h>

#include "matrix_fake.h"
#include "matrix_test.h"

/* By the player's number: whether it defects, by what it sees. */
static bool never(const matrix_prompt *seen) { return (void)seen, false; }
static bool always(const matrix_prompt *seen) { return (void)seen, true; }
static bool as_the_other(const matrix_prompt *seen) { return seen->observation.length == 2 && seen->observation.data[1] == 'D'; }
static bool by_turns(const matrix_prompt *seen) { return seen->observation.length == 2 && seen->observation.data[0] == 'C'; }
static bool against(const matrix_prompt *seen) { return seen->observation.length != 2 || seen->observation.data[1] == 'C'; }

static bool (*const strategies[])(const matrix_prompt *) = {never, always, as_the_other, by_turns, against};

static bool decide(const matrix_prompt *prompt, matrix_buffer *choice) {
    matrix_print(choice, "%c", strategies[prompt->player](prompt) ? 'D' : 'C');
    return true;
}

/* Answers that are none. */
static bool decide_wrongly(const matrix_prompt *prompt, matrix_buffer *choice) {
    static const char *const wrong[] = {"", "c", "CC", "\xff"};
    static uint32_t count;
    matrix_print(choice, "%s", wrong[count++ % 4]);
    return prompt->seat != 0;
}

/* The match of two strategies, as the rules told of it. */
static bool told(const char *a, const char *b, const unsigned scores[2], const unsigned cooperations[2]) {
    char line[256];
    snprintf(line, sizeof line, "{\"players\":[\"%s\",\"%s\"],\"scores\":[%u,%u],\"cooperations\":[%u,%u]}", a, b, scores[0], scores[1],
             cooperations[0], cooperations[1]);
    for (size_t place = 0; place + 1 < fake_event_count(); place++) {
        matrix_content content;
        EXPECT_TEXT(fake_event(place, &content), "match.finished");
        EXPECT(matrix_is(content.content_type, "application/json"));
        if (matrix_is(content.body, line)) return true;
    }
    return false;
}

static bool is_played(const char *name) {
    static const char *const names[] = {"Cooperator", "Defector", "TitForTat", "Alternator", "Bully"};
    for (size_t at = 0; at < sizeof names / sizeof *names; at++) {
        if (strcmp(names[at], name) == 0) return true;
    }
    return false;
}

static void a_tournament_ends_as_the_table_says(const char *path) {
    matrix_buffer why = {0};
    FILE *table = fopen(path, "r");
    char line[256], a[64], b[64];
    unsigned scores[2], cooperations[2], matches = 0;
    EXPECT(table != NULL);
    EXPECT(fake_start(&why, 1, "", "Cooperator", "Defector", "TitForTat", "Alternator", "Bully", NULL));
    EXPECT(fake_prompt_count() == 30 && fake_prompt(0).observation.length == 32);
    EXPECT(fake_play(decide) == 200 && fake_prompt_count() == 30 && fake_prompt(29).is_final);
    EXPECT(fake_event_count() == 16);
    while (fgets(line, sizeof line, table) != NULL) {
        sscanf(line, "\"a\": \"%63[^\"]", a);
        sscanf(line, "\"b\": \"%63[^\"]", b);
        sscanf(line, "\"score_a\": %u", &scores[0]);
        sscanf(line, "\"score_b\": %u", &scores[1]);
        sscanf(line, "\"cooperations_a\": %u", &cooperations[0]);
        if (sscanf(line, "\"cooperations_b\": %u", &cooperations[1]) != 1 || !is_played(a) || !is_played(b)) continue;
        if (!told(a, b, scores, cooperations)) fprintf(stderr, "%s, %s\n", a, b);
        EXPECT(told(a, b, scores, cooperations));
        matches++;
    }
    EXPECT(matches == 15);
    matrix_content whole;
    EXPECT_TEXT(fake_event(15, &whole), "tournament.finished");
    fclose(table);
    matrix_free(&why);
}

static void wrong_actions_are_the_players_loss(matrix_buffer *why) {
    EXPECT(fake_start(why, 1, "", "a", "b", "c", NULL) && fake_step(decide_wrongly));
    EXPECT(fake_figure("cooperation.rate") == 0 && fake_figure("payoff.mean") == 1);
    EXPECT(fake_start(why, 1, "{\"on_invalid\": \"cooperate\"}", "a", "b", "c", NULL) && fake_step(decide_wrongly));
    EXPECT(fake_figure("cooperation.rate") == 1 && fake_figure("payoff.mean") == 3);
}

static void self_play_is_an_option(matrix_buffer *why) {
    EXPECT(fake_start(why, 1, " { \"self_play\" : false } ", "a", "b", NULL));
    EXPECT(fake_prompt_count() == 2 && fake_prompt(0).seat == 1 && fake_prompt(1).player == 1 && fake_prompt(1).seat == 0);
}

static void wrong_setups_are_named(matrix_buffer *why) {
    static const char *const wrong[][2] = {
        {"{", "no JSON"},
        {"{\"turn\": 3}", "`turn`"},
        {"{\"turns\": 0}", "`turns` is 0"},
        {"{\"turns\": 1000001}", "from 1 to 1000000"},
        {"{\"turns\": 2.5}", "a whole number"},
        {"{\"payoffs\": {\"reward\": 1e10}}", "`payoffs.reward`"},
        {"{\"payoffs\": {\"rewards\": 1}}", "`payoffs.rewards`"},
        {"{\"payoffs\": 7}", "`payoffs` must be an object"},
        {"{\"on_invalid\": \"forgive\"}", "defect cooperate"},
    };
    for (size_t at = 0; at < sizeof wrong / sizeof *wrong; at++) {
        EXPECT(!fake_start(why, 1, wrong[at][0], "a", "b", NULL));
        matrix_append(why, "", 1);
        if (strstr((const char *)why->data, wrong[at][1]) == NULL) fprintf(stderr, "%s\n", (const char *)why->data);
        EXPECT(strstr((const char *)why->data, wrong[at][1]) != NULL);
    }
    EXPECT(!fake_start(why, 1, "", "a", NULL));
}

static void the_state_is_that_of_the_rules_in_rust(matrix_buffer *why) {
    static const uint8_t expected[] = {
        2, 1, 'a', 1, 'b', 2, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0x40, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f,
        0, 1, 2, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0x40, 1, 0, 0, 1,
    };
    matrix_buffer state = {0};
    EXPECT(fake_start(why, 1, "{\"turns\": 2, \"self_play\": false, \"payoffs\": {\"reward\": 1, \"sucker\": 0}}", "a", "b", NULL));
    EXPECT(fake_step(decide) && matrix_rules.snapshot(&state));
    EXPECT(state.length == sizeof expected && memcmp(state.data, expected, sizeof expected) == 0);
    for (size_t length = 0; length < state.length; length++) EXPECT(!fake_restore_rules("ipd/1", (matrix_bytes){state.data, length}));
    EXPECT(fake_restore_rules("ipd/1", matrix_view(&state)) && !fake_restore_rules("ipd/2", matrix_view(&state)));
    matrix_append(&state, "", 1);
    EXPECT(!fake_restore_rules("ipd/1", matrix_view(&state)));
    matrix_free(&state);
}

int main(int count, char **arguments) {
    matrix_buffer why = {0};
    EXPECT(count == 2);
    a_tournament_ends_as_the_table_says(arguments[1]);
    wrong_actions_are_the_players_loss(&why);
    self_play_is_an_option(&why);
    wrong_setups_are_named(&why);
    the_state_is_that_of_the_rules_in_rust(&why);
    EXPECT(fake_start(&why, 1, "", "<script>", "b&b", NULL));
    EXPECT(strstr(fake_show(), "&lt;script&gt;") != NULL && strstr(fake_show(), "<script>") == NULL);
    EXPECT_TEXT(fake_ask_rules("hello"), "these rules take no messages");
    return 0;
}
