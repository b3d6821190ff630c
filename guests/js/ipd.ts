/**
 * Rules of the iterated prisoner's dilemma: a round robin in which all matches are played side by side, one turn a tick.
 *
 * What seats see and answer is told in `guests/models/dilemma/src/wire.rs`. The state is that of `guests/rules/ipd`, byte for byte: a
 * Matrix may go from these rules to those, and back, between two ticks. @module
 */
import { Content, discrete, Outcome, Refusal, Rules, type Action, type Setup } from "matrix-soul";
import { C, D, decode, encode, PLAYERS_MAX, PLAYERS_MIN, SETTINGS, Tournament } from "./ipd-tournament.js";

/** Of the picture: how high a line is, where bars begin, how long the longest is, and how many characters a name has. */
const [LINE, LEFT, BAR, NAME] = [16, 190, 260, 26];

export default class Ipd extends Rules {
  static override readonly schema = "ipd/1";
  static override readonly description = {
    name: "ipd",
    version: "0.1.0",
    players: [PLAYERS_MIN, PLAYERS_MAX] as const,
    observations: discrete("application/vnd.matrix.ipd.observation", 5),
    actions: discrete("application/vnd.matrix.ipd.action", ["C", "D"]),
    settings: SETTINGS,
  };
  private names: readonly string[] = [];
  private game = new Tournament(0, SETTINGS.byDefault);

  start(setup: Setup): Outcome {
    const config = setup.settings(SETTINGS);
    const count = setup.players.length;
    if (count < PLAYERS_MIN || count > PLAYERS_MAX) {
      throw new Refusal(`${count} players given: these rules take ${PLAYERS_MIN} to ${PLAYERS_MAX}`);
    }
    this.names = setup.players;
    this.game = new Tournament(count, config);
    return this.asked();
  }

  step(actions: readonly Action[]): Outcome {
    const game = this.game;
    const outcome = new Outcome();
    if (game.isOver) {
      outcome.finished = true;
      return outcome;
    }
    const moves = new Map<number, number>();
    for (const { player, seat, choice } of actions) {
      const [side, move] = [game.side(player, seat), choice?.length === 1 ? choice[0] : undefined];
      if (side !== undefined && (move === C || move === D)) moves.set(side, move);
    }
    game.play(moves);
    this.asked(outcome);
    outcome.signals = { "cooperation.rate": game.cooperationRate(), "payoff.mean": game.payoffMean() };
    outcome.finished = game.isOver;
    if (game.isOver) this.tell(outcome);
    return outcome;
  }

  override snapshot(): Uint8Array {
    return encode(this.names, this.game);
  }

  override restore(schema: string, bytes: Uint8Array): void {
    if (schema !== Ipd.schema) {
      throw new Refusal(`cannot take up ${bytes.length} bytes of schema \`${schema}\`: this code reads \`${Ipd.schema}\``);
    }
    [this.names, this.game] = decode(bytes);
  }

  override view(): Content {
    const { game, names } = this;
    const standings = game.standings();
    const longest = Math.max(...standings.map((it) => Math.abs(it.total)), 0) || 1;
    const lines = standings.flatMap((it, place) => {
      const [y, length] = [40 + LINE * place, (Math.max(it.total, 0) / longest) * BAR];
      const name = escaped([...(names[it.player] ?? "")].slice(0, NAME).join(""));
      return [
        `<text x="${LEFT - 6}" y="${y + 11}" text-anchor="end">${name}</text>`,
        `<rect x="${LEFT}" y="${y}" width="${length.toFixed(1)}" height="${LINE - 3}" fill="#4a7bb7"/>`,
        `<text x="${(LEFT + length + 5).toFixed(1)}" y="${y + 11}">${it.total}</text>`,
      ];
    });
    const head = [
      `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 540 ${60 + LINE * standings.length}" font-size="11">`,
      `<text x="12" y="22" font-size="15">Iterated prisoner's dilemma, turn ${game.turn} of ${game.config.turns}</text>`,
    ];
    return Content.svg([...head, ...lines, "</svg>\n"].join("\n"));
  }

  /** Asks every seat of every player, in order: what it sees, and what its last move earned. */
  private asked(outcome = new Outcome()): Outcome {
    const { game } = this;
    const { reward, sucker, temptation, punishment } = game.config.payoffs;
    const first = new DataView(new ArrayBuffer(32));
    [reward, sucker, temptation, punishment].forEach((value, place) => first.setFloat64(8 * place, value, true));
    const isFinal = game.isOver;
    for (const { player, seat, side } of game.seats) {
      if (game.turn === 0) outcome.ask(player, new Uint8Array(first.buffer), { seat });
      else {
        const seen = Uint8Array.of(game.last[side] ?? C, game.last[side ^ 1] ?? C);
        outcome.ask(player, seen, { seat, reward: game.earned(side), isFinal });
      }
    }
    return outcome;
  }

  /** What came of each match, and of the whole. */
  private tell(outcome: Outcome): void {
    const { game, names } = this;
    game.matches.forEach(([a, b], place) => {
      const sides = [2 * place, 2 * place + 2] as const;
      const scores = game.scores.slice(...sides);
      outcome.event("match.finished", Content.json({
        players: [names[a], names[b]], scores, cooperations: game.cooperations.slice(...sides),
      }));
    });
    const ranking = game.standings().map((it, place) => ({
      rank: place + 1,
      player: names[it.player],
      total_without_self_play: it.total,
      ...(game.config.self_play ? { total_with_self_play: it.totalWithSelfPlay } : {}),
      cooperation_rate: it.cooperation,
    }));
    const { turn, config, matches } = game;
    const whole = { turns: turn, matches: matches.length, self_play: config.self_play, ranking };
    outcome.event("tournament.finished", Content.json(whole));
  }
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
