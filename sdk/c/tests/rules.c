/* Rules that toss a coin, and a stage that does what it is told, in the fake node: what an author writes works as the README says. */
#include <inttypes.h>
#include <math.h>

#include "matrix_fake.h"
#include "matrix_test.h"

static const matrix_setting_of_rules settings[] = {
    {.name = "rounds", .type = MATRIX_INTEGER, .by_default = 3, .min = 1, .max = 100, .description = "How often it is \"tossed\"."},
    {.name = "bias.of", .type = MATRIX_WORD, .by_default = 1, .words = "heads tails"},
    {.name = "bias.weight", .type = MATRIX_NUMBER, .by_default = 0.5},
    {.name = "loud", .type = MATRIX_FLAG},
};
enum { ROUNDS, OF, WEIGHT, LOUD, SETTINGS };

static double chosen[SETTINGS];
static uint64_t rounds, tossed, points;
static matrix_chance chance;

static void ask(matrix_outcome *outcome, const char *side) {
    for (uint32_t player = 0; player < 2; player++) {
        matrix_ask_seat(outcome, (matrix_prompt){player, 0, matrix_text(side), (double)points, tossed == rounds});
    }
}

static bool start(const matrix_setup *setup, matrix_outcome *outcome, matrix_buffer *why) {
    if (!matrix_read_settings(setup->config, settings, SETTINGS, chosen, why)) return false;
    rounds = (uint64_t)chosen[ROUNDS], tossed = points = 0, chance = matrix_chance_of(setup->seed);
    return ask(outcome, ""), true;
}

static bool step(const matrix_action *actions, size_t count, matrix_outcome *outcome, matrix_buffer *why) {
    (void)why;
    const char *side = matrix_draw_below(&chance, 2) == 0 ? "heads" : "tails";
    for (size_t at = 0; at < count; at++) points += actions[at].is_given && matrix_is(actions[at].choice, side);
    if (++tossed == rounds) matrix_finish(outcome);
    matrix_signal(outcome, "points", (double)points);
    matrix_tell(outcome, "coin.tossed", matrix_plain(matrix_text(side)));
    return ask(outcome, side), true;
}

static bool snapshot(matrix_buffer *state) {
    matrix_put(state, rounds), matrix_put(state, tossed), matrix_put(state, points);
    for (size_t at = 0; at < 4; at++) matrix_put(state, chance.words[at]);
    return true;
}

static bool restore(matrix_bytes schema, matrix_bytes state, matrix_buffer *why) {
    uint64_t found[7];
    if (!matrix_is(schema, "coin/1")) return matrix_refuse(why, "this code reads `coin/1` alone");
    for (size_t at = 0; at < 7; at++) {
        if (!matrix_take(&state, &found[at])) return matrix_refuse(why, "not a state of `coin/1`");
    }
    rounds = found[0], tossed = found[1], points = found[2];
    memcpy(chance.words, found + 3, sizeof chance.words);
    return true;
}

static bool receive(const matrix_message *message, matrix_reply *reply) {
    return matrix_answer(reply, "%.*s: %" PRIu64, (int)message->content.body.length, (const char *)message->content.body.data, points);
}

static void view(matrix_reply *shown) {
    matrix_answer_content(shown, (matrix_content){matrix_text("application/json"), matrix_text("{}")});
}

const matrix_rules_definition matrix_rules = {
    .name = "coin", .version = "0.1.0", .players_min = 1, .players_max = 9, .settings = settings, .setting_count = SETTINGS,
    .start = start, .step = step, .receive = receive, .view = view, .schema = "coin/1", .snapshot = snapshot, .restore = restore,
};

static bool decide(const matrix_prompt *prompt, matrix_buffer *choice) {
    if (prompt->player == 1) matrix_print(choice, "tails");
    return prompt->player == 1;
}

static void a_run_is_played_to_its_end(matrix_buffer *why) {
    matrix_buffer state = {0}, again = {0};
    for (int time = 0; time < 2; time++) {
        EXPECT(fake_start(why, 7, "{\"rounds\": 9}", "ada", "bob", NULL) && fake_play(decide) == 9 && fake_is_finished());
        EXPECT(fake_figure("points") == (double)points && points > 0 && points < 9);
        matrix_content said;
        EXPECT(fake_event_count() == 1);
        EXPECT_TEXT(fake_event(0, &said), "coin.tossed");
        EXPECT(snapshot(time == 0 ? &state : &again));
    }
    EXPECT(state.length == again.length && memcmp(state.data, again.data, state.length) == 0);
    EXPECT(fake_restore_rules("coin/1", matrix_view(&state)) && !fake_restore_rules("coin/2", matrix_view(&state)));
    EXPECT(!fake_restore_rules("coin/1", (matrix_bytes){state.data, 3}));
    EXPECT_TEXT(fake_show(), "{}");
    EXPECT(strncmp(fake_ask_rules("points"), "points: ", 8) == 0);
    matrix_free(&state), matrix_free(&again);
}

static void settings_are_read_and_described(matrix_buffer *why) {
    EXPECT(matrix_read_settings(matrix_text(" "), settings, SETTINGS, chosen, why) && chosen[OF] == 1 && chosen[WEIGHT] == 0.5);
    const char *text = " {\"bias\" : { \"of\":\"heads\" , \"weight\":-1.5e2 } , \"loud\":true,\n\"rounds\":100}\t";
    EXPECT(matrix_read_settings(matrix_text(text), settings, SETTINGS, chosen, why));
    EXPECT(chosen[ROUNDS] == 100 && chosen[OF] == 0 && chosen[WEIGHT] == -150 && chosen[LOUD] == 1);
    static const char *const wrong[] = {
        "{", "null", "[]", "7", "{}}", "{\"rounds\"}", "{\"rounds\":}", "{\"rounds\":1,}", "{\"rounds\":01}", "{\"rounds\":1.}",
        "{\"rounds\":1e0}", "{\"rounds\":9007199254740993}", "{\"bias\":{\"weight\":1e999}}", "{\"bias\":{\"weight\":NaN}}", "{\"bias\":[]}",
        "{\"bias.of\":\"heads\"}", "{\"of\":\"heads\"}", "{\"bias\":{\"of\":\"head\"}}", "{\"bias\":{\"rounds\":1}}", "{\"loud\":1}",
        "{\"loud\":tru", "{\"rou\\u006eds\":1}", "{\"rounds", "{\"rounds\\", "{\"a\":{\"a\":{}}}", "{\"rounds\":1 \"loud\":true}",
    };
    for (size_t at = 0; at < sizeof wrong / sizeof *wrong; at++) {
        bool is_read = matrix_read_settings(matrix_text(wrong[at]), settings, SETTINGS, chosen, why);
        if (is_read || strncmp((const char *)why->data, "config", 6) != 0) fprintf(stderr, "%s\n", wrong[at]);
        EXPECT(!is_read && strncmp((const char *)why->data, "config", 6) == 0);
    }
    matrix_buffer schema = {0};
    matrix_write_schema(&schema, settings, SETTINGS);
    EXPECT(matrix_is(matrix_view(&schema),
                     "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\",\"additionalProperties\":false,"
                     "\"properties\":{\"rounds\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":100,\"description\":"
                     "\"How often it is \\\"tossed\\\".\",\"default\":3},\"bias\":{\"type\":\"object\",\"additionalProperties\":false,"
                     "\"properties\":{\"of\":{\"enum\":[\"heads\",\"tails\"],\"default\":\"tails\"},\"weight\":{\"type\":\"number\","
                     "\"default\":0.5}},\"default\":{\"of\":\"tails\",\"weight\":0.5}},\"loud\":{\"type\":\"boolean\",\"default\":false}}}"));
    matrix_free(&schema);
}

static void chance_is_that_of_all_languages(void) {
    matrix_chance drawn = {{1, 2, 3, 4}};
    EXPECT(matrix_draw(&drawn) == 41943041 && matrix_draw(&drawn) == 58720359 && matrix_draw(&drawn) == 3588806011781223);
    EXPECT(matrix_chance_of(0).words[0] == 0xe220a8397b1dcdaf);
    unsigned seen[5] = {0};
    drawn = matrix_chance_of(7);
    for (int time = 0; time < 5000; time++) seen[matrix_draw_below(&drawn, 5)]++;
    for (int side = 0; side < 5; side++) EXPECT(seen[side] >= 850 && seen[side] < 1150);
    EXPECT(matrix_draw_below(&drawn, 1) == 0 && matrix_draw_below(&drawn, 0) == 0);
    for (int time = 0; time < 1000; time++) EXPECT(matrix_draw_unit(&drawn) < 1);
}

static bool configured(const matrix_entry *given, size_t count, matrix_buffer *why) {
    matrix_bytes loud;
    return matrix_setting_of(given, count, "loud", &loud) || matrix_refuse(why, "set `loud`");
}

static matrix_verdict outbound(const matrix_passing *passing, matrix_reply *changed) {
    matrix_bytes body = passing->message.content.body, to = passing->recipient.name;
    if (matrix_is(body, "refuse")) return matrix_reject(changed, "not %s", "this");
    if (!matrix_is(body, "change")) return MATRIX_PASS;
    matrix_answer(changed, "to %.*s at %" PRIu64, (int)to.length, (const char *)to.data, matrix_now());
    return MATRIX_REWRITE;
}

const matrix_interceptor_definition matrix_interceptor = {.configured = configured, .outbound = outbound};

static void messages_pass_are_changed_and_refused(matrix_buffer *why) {
    matrix_reply changed = {0};
    EXPECT(!fake_configure(why, NULL) && fake_configure(why, "loud", "yes", NULL));
    EXPECT(fake_judge(true, "text/plain", matrix_text("hello"), &changed) == MATRIX_PASS);
    EXPECT(fake_judge(false, "text/plain", matrix_text("refuse"), &changed) == MATRIX_PASS);
    EXPECT(fake_judge(true, "text/plain", matrix_text("refuse"), &changed) == MATRIX_REJECT);
    EXPECT(matrix_is(matrix_view(&changed.body), "not this"));
    EXPECT(fake_judge(true, "text/plain", matrix_text("change"), &changed) == MATRIX_REWRITE);
    EXPECT(matrix_is(matrix_view(&changed.body), "to bob at 1000000000000"));
    EXPECT(matrix_is_text(matrix_text("  TEXT/html")) && !matrix_is_text(matrix_text("text")) && !matrix_is_text(matrix_text("app/text")));
}

int main(void) {
    matrix_buffer why = {0};
    a_run_is_played_to_its_end(&why);
    settings_are_read_and_described(&why);
    chance_is_that_of_all_languages();
    messages_pass_are_changed_and_refused(&why);
    matrix_buffer text = {0};
    matrix_print_json(&text, matrix_text("a\"\\\n\u00fc"));
    matrix_print_xml(&text, matrix_text("<&>\""));
    EXPECT(matrix_is(matrix_view(&text), "\"a\\\"\\\\\\u000a\u00fc\"&lt;&amp;&gt;&quot;"));
    return 0;
}
