/**
 * A round robin of the iterated prisoner's dilemma: every player against every other, all matches side by side.
 *
 * A player's seats are numbered by its opponents: in seat `i` it plays against player `i`. With self-play it also plays against
 * itself, in the seat of its own number and in one more, whose number is the count of players.
 *
 * As bytes a tournament is what `guests/rules/ipd` makes of it: numbers in seven bits a byte, the lowest first; doubles of eight
 * bytes, the lowest first; before a list and a text, how long it is. @module
 */
import { Refusal } from "matrix-soul";
import { flag, group, integer, number, word, type Values } from "matrix-soul/settings";
import { decode as utf8, encode as bytesOf } from "matrix-soul/text";

export const [PLAYERS_MIN, PLAYERS_MAX] = [2, 100];
/** A run log of more would outgrow what anybody replays. */
const TURNS_MAX = 1_000_000;
/** A million turns of it are still exact in a double. */
const PAYOFF_MAX = 1e9;
export const [C, D] = [67, 68];

const payoff = (byDefault: number, description: string) => number(byDefault, { min: -PAYOFF_MAX, max: PAYOFF_MAX, description });

/** How a tournament is played. */
export const SETTINGS = group({
  turns: integer(200, { min: 1, max: TURNS_MAX, description: "Turns of every match; players are not told." }),
  payoffs: group(
    {
      reward: payoff(3, "Both cooperated."),
      sucker: payoff(0, "It cooperated, the other defected."),
      temptation: payoff(5, "It defected, the other cooperated."),
      punishment: payoff(1, "Both defected."),
    },
    { description: "What a turn earns." },
  ),
  self_play: flag(true, { description: "Whether every player also meets itself, in two seats." }),
  on_invalid: word("defect", ["defect", "cooperate"], {
    description: "What a move counts as that did not come, or is neither C nor D.",
  }),
});
export type Config = Values<typeof SETTINGS>;

/** How a player did. */
export interface Standing {
  readonly player: number;
  readonly total: number;
  readonly totalWithSelfPlay: number;
  readonly cooperation: number;
}

/** A seat of a player, and the side of a match that it plays. */
export interface Seat {
  readonly player: number;
  readonly seat: number;
  readonly side: number;
}

/**
 * All matches. A side of a match is one place in `scores`, `cooperations` and `last`; the other side is the place that differs in
 * the lowest bit.
 */
export class Tournament {
  turn = 0;
  readonly matches: (readonly [number, number])[] = [];
  readonly scores: number[];
  readonly cooperations: number[];
  readonly last: Uint8Array;
  /** In the order in which they are asked. */
  readonly seats: Seat[] = [];
  readonly #sides = new Map<number, number>();

  constructor(readonly players: number, readonly config: Config) {
    const places = new Map<number, number>();
    const self = config.self_play;
    for (let a = 0; a < players; a++) {
      for (let b = self ? a : a + 1; b < players; b++) {
        places.set(a * players + b, 2 * this.matches.length);
        this.matches.push([a, b]);
      }
    }
    const sides = 2 * this.matches.length;
    this.scores = Array<number>(sides).fill(0);
    this.cooperations = Array<number>(sides).fill(0);
    this.last = new Uint8Array(sides).fill(C);
    for (let player = 0; player < players; player++) {
      for (let seat = 0; seat <= players; seat++) {
        if (!self && (seat === player || seat === players)) continue;
        const opponent = seat === players ? player : seat;
        const place = places.get(Math.min(player, opponent) * players + Math.max(player, opponent)) ?? 0;
        const side = place + Number(player > opponent || seat === players);
        this.seats.push({ player, seat, side });
        this.#sides.set(player * (players + 1) + seat, side);
      }
    }
  }

  /** The side that a player's seat plays; undefined where there is no such seat. */
  side(player: number, seat: number): number | undefined {
    return player < this.players && seat <= this.players ? this.#sides.get(player * (this.players + 1) + seat) : undefined;
  }

  /** Whether every match is over. */
  get isOver(): boolean {
    return this.turn >= this.config.turns;
  }

  /** What a side earned in the last turn. */
  earned(side: number): number {
    const { reward, sucker, temptation, punishment } = this.config.payoffs;
    if (this.last[side] === C) return this.last[side ^ 1] === C ? reward : sucker;
    return this.last[side ^ 1] === C ? temptation : punishment;
  }

  /** One turn of every match; a side without a move does what the settings say. */
  play(moves: ReadonlyMap<number, number>): void {
    const byDefault = this.config.on_invalid === "defect" ? D : C;
    for (let side = 0; side < this.last.length; side++) this.last[side] = moves.get(side) ?? byDefault;
    for (let side = 0; side < this.last.length; side++) {
      this.scores[side] = (this.scores[side] ?? 0) + this.earned(side);
      if (this.last[side] === C) this.cooperations[side] = (this.cooperations[side] ?? 0) + 1;
    }
    this.turn++;
  }

  /** The share of sides that cooperated in the last turn. */
  cooperationRate(): number {
    const cooperated = this.last.reduce((count, move) => count + Number(move === C), 0);
    return this.turn > 0 && this.last.length > 0 ? cooperated / this.last.length : 0;
  }

  /** What a side earned in the last turn, on average. */
  payoffMean(): number {
    if (this.turn === 0 || this.last.length === 0) return 0;
    let total = 0;
    for (let side = 0; side < this.last.length; side += 2) total += this.earned(side) + this.earned(side + 1);
    return total / this.last.length;
  }

  /** The best first, by what they earned against all others. */
  standings(): Standing[] {
    const standings = Array.from({ length: this.players }, (_, player) => this.#standing(player));
    return standings.sort((a, b) => b.total - a.total);
  }

  #standing(player: number): Standing {
    let [total, own, cooperations, sides] = [0, 0, 0, 0];
    for (let seat = 0; seat <= this.players; seat++) {
      const side = this.side(player, seat);
      if (side === undefined) continue;
      if (seat === player || seat === this.players) own += (this.scores[side] ?? 0) / 2;
      else total += this.scores[side] ?? 0;
      cooperations += this.cooperations[side] ?? 0;
      sides++;
    }
    const moves = sides * this.turn;
    return { player, total, totalWithSelfPlay: total + own, cooperation: moves > 0 ? cooperations / moves : 0 };
  }
}

/** A tournament and its players' names as bytes. */
export function encode(names: readonly string[], it: Tournament): Uint8Array {
  const writer = new Writer();
  writer.number(names.length);
  for (const name of names) {
    const text = bytesOf(name);
    writer.number(text.length);
    writer.bytes.push(...text);
  }
  const { turns, payoffs, self_play, on_invalid } = it.config;
  writer.number(turns);
  for (const value of [payoffs.reward, payoffs.sucker, payoffs.temptation, payoffs.punishment]) writer.double(value);
  writer.bytes.push(Number(self_play), Number(on_invalid === "defect"));
  for (const value of [it.players, it.turn, it.matches.length]) writer.number(value);
  it.matches.forEach(([a, b], place) => {
    const [first, second] = [2 * place, 2 * place + 1];
    writer.number(a);
    writer.number(b);
    writer.double(it.scores[first] ?? 0);
    writer.double(it.scores[second] ?? 0);
    writer.number(it.cooperations[first] ?? 0);
    writer.number(it.cooperations[second] ?? 0);
    writer.bytes.push(Number(it.last[first] === D), Number(it.last[second] === D));
  });
  return Uint8Array.from(writer.bytes);
}

/** A tournament and its players' names. Throws a `Refusal` where the bytes are none. */
export function decode(bytes: Uint8Array): [names: string[], tournament: Tournament] {
  const reader = new Reader(bytes);
  const names = Array.from({ length: reader.number(PLAYERS_MAX) }, () => reader.text());
  const turns = reader.number(TURNS_MAX);
  const [reward = 0, sucker = 0, temptation = 0, punishment = 0] = [0, 1, 2, 3].map(() => reader.double(PAYOFF_MAX));
  const [self, onInvalid] = [reader.number(1) === 1, reader.number(1) === 1 ? "defect" : "cooperate"] as const;
  if (turns < 1 || reader.number(PLAYERS_MAX) !== names.length || names.length < PLAYERS_MIN) {
    throw new Refusal("not a tournament: it has no turns, or other players than their names");
  }
  const payoffs = { reward, sucker, temptation, punishment };
  const found = new Tournament(names.length, { turns, payoffs, self_play: self, on_invalid: onInvalid });
  found.turn = reader.number(turns);
  const isSound = reader.number(bytes.length) === found.matches.length;
  if (!isSound) throw new Refusal("not a tournament: its matches are not those of its players");
  found.matches.forEach(([a, b], place) => {
    if (reader.number(PLAYERS_MAX) !== a || reader.number(PLAYERS_MAX) !== b) {
      throw new Refusal("not a tournament: its matches are not those of its players");
    }
    const sides = [2 * place, 2 * place + 1];
    for (const side of sides) found.scores[side] = reader.double(PAYOFF_MAX * TURNS_MAX);
    for (const side of sides) found.cooperations[side] = reader.number(found.turn);
    for (const side of sides) found.last[side] = reader.number(1) === 1 ? D : C;
  });
  if (reader.rest > 0) throw new Refusal(`${reader.rest} bytes follow the tournament`);
  return [names, found];
}

class Writer {
  readonly bytes: number[] = [];
  readonly #double = new DataView(new ArrayBuffer(8));

  number(value: number): void {
    for (; value > 0x7f; value = Math.floor(value / 128)) this.bytes.push((value & 0x7f) | 0x80);
    this.bytes.push(value);
  }

  double(value: number): void {
    this.#double.setFloat64(0, value, true);
    for (let place = 0; place < 8; place++) this.bytes.push(this.#double.getUint8(place));
  }
}

/** Takes values off the front of bytes. Throws a `Refusal` where there are none. */
class Reader {
  #at = 0;

  constructor(readonly bytes: Uint8Array) {}

  /** How many bytes were not taken. */
  get rest(): number {
    return this.bytes.length - this.#at;
  }

  take(count: number): Uint8Array {
    if (count > this.rest) throw new Refusal("not a tournament: it is cut off");
    return this.bytes.slice(this.#at, (this.#at += count));
  }

  text(): string {
    const text = utf8(this.take(this.number(this.bytes.length)));
    if (text === undefined) throw new Refusal("not a tournament: a name is not text in UTF-8");
    return text;
  }

  number(most: number): number {
    let value = 0;
    for (let place = 0; place < 10; place++) {
      const byte = this.take(1)[0] ?? 0;
      value += (byte & 0x7f) * 2 ** (7 * place);
      if (byte <= 0x7f) {
        if (value > most) throw new Refusal(`not a tournament: ${value} where there may be ${most}`);
        return value;
      }
    }
    throw new Refusal("not a tournament: a number has no end");
  }

  double(most: number): number {
    const value = new DataView(this.take(8).buffer).getFloat64(0, true);
    if (!(Math.abs(value) <= most)) throw new Refusal(`not a tournament: ${value} where numbers are up to ${most}`);
    return value;
  }
}
