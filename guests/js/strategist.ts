/**
 * Plays the iterated prisoner's dilemma by one of twelve strategies, as those of the same names in Axelrod-Python do.
 *
 * The setting `strategy` names it, and is required. To the message `who` it answers with that name. What seats see and answer is
 * told in `guests/models/dilemma/src/wire.rs`. @module
 */
import { Refusal, Soul, type Birth, type Message, type Player, type Turn } from "matrix-soul";

/** How many games are remembered at once. */
export const GAMES_MAX = 4096;
/** For how many turns Gradual is kind after a punishment, so that a grudge can end. */
const CALM_TURNS = 2;
/** Bytes of a first observation: the payoffs, which none of these strategies looks at. */
const FIRST_BYTES = 32;
const [COOPERATE, DEFECT] = [67, 68];

/** What happened so far in one seat's game, and what its strategy keeps in mind. */
type Game = {
  turns: number;
  iDefected: boolean;
  theyDefected: boolean;
  theyDefectedTwice: boolean;
  defections: number;
  /** Of Gradual: how many turns of punishment, and then of calm, are owed. */
  punish: number;
  calm: number;
};

const begun = (): Game => ({
  turns: 0,
  iDefected: false,
  theyDefected: false,
  theyDefectedTwice: false,
  defections: 0,
  punish: 0,
  calm: 0,
});

/** Punishes a defection by as many as the opponent has committed in all, then calms down. */
function gradual(game: Game): boolean {
  if (game.punish > 0) {
    game.punish--;
    return true;
  }
  if (game.calm > 0) {
    game.calm--;
    return false;
  }
  if (game.theyDefected) {
    // This turn is the first of the punishment.
    game.punish = game.defections - 1;
    game.calm = CALM_TURNS;
  }
  return game.theyDefected;
}

/** Whether to defect, by what happened. */
export const STRATEGIES: Readonly<Record<string, (game: Game) => boolean>> = {
  Cooperator: () => false,
  Defector: () => true,
  TitForTat: (game) => game.theyDefected,
  TitFor2Tats: (game) => game.theyDefectedTwice,
  SuspiciousTitForTat: (game) => game.turns === 0 || game.theyDefected,
  Grudger: (game) => game.defections > 0,
  Alternator: (game) => game.turns > 0 && !game.iDefected,
  WinStayLoseShift: (game) => game.iDefected !== game.theyDefected,
  GoByMajority: (game) => 2 * game.defections > game.turns,
  Bully: (game) => !game.theyDefected,
  Appeaser: (game) => game.iDefected !== game.theyDefected,
  Gradual: gradual,
};

/** One Soul, any number of seats in any number of Matrices. */
export default class Strategist extends Soul<{ games: Record<string, Record<string, Game>> }> implements Player {
  static override readonly schema = "strategist-js/1";
  /** By Matrix and seat. */
  override state: { games: Record<string, Record<string, Game>> } = { games: {} };
  #strategy = "";

  override born(birth: Birth): void {
    this.#strategy = birth.config.get("strategy") ?? "";
    if (!Object.hasOwn(STRATEGIES, this.#strategy)) {
      throw new Refusal(`set \`strategy\` in the Soul's config to one of ${Object.keys(STRATEGIES).join(", ")}`);
    }
  }

  receive(message: Message): string {
    if (message.text.trim() !== "who") throw new Refusal("say `who`");
    return this.#strategy;
  }

  act(turn: Turn): string {
    const { games } = this.state;
    const seats = Object.hasOwn(games, turn.matrix) ? games[turn.matrix]! : {};
    const begins = turn.observation.length === FIRST_BYTES;
    if (turn.isFinal || begins) delete seats[turn.seat];
    if (turn.isFinal) {
      if (Object.keys(seats).length === 0) delete games[turn.matrix];
      return "";
    }
    if (begins && this.#count() >= GAMES_MAX) {
      throw new Refusal(`seat ${turn.seat} of \`${turn.matrix}\`: ${GAMES_MAX} games go on already`);
    }
    if (begins) seats[turn.seat] = begun();
    games[turn.matrix] = seats;
    const game = this.#game(seats, turn);
    return STRATEGIES[this.#strategy]?.(game) ? "D" : "C";
  }

  #count(): number {
    return Object.values(this.state.games).reduce((sum, seats) => sum + Object.keys(seats).length, 0);
  }

  /** The seat's game, up to this turn. */
  #game(seats: Record<string, Game>, { matrix, seat, observation }: Turn): Game {
    const game = seats[seat];
    if (game === undefined) throw new Refusal(`seat ${seat} of \`${matrix}\`: its game's first turn was never seen`);
    if (observation.length === FIRST_BYTES) return game;
    if (observation.length !== 2 || observation.some((move) => move !== COOPERATE && move !== DEFECT)) {
      throw new Refusal(`seat ${seat} of \`${matrix}\`: ${observation.length} bytes that are no observation`);
    }
    const defected = observation[1] === DEFECT;
    game.turns++;
    game.iDefected = observation[0] === DEFECT;
    game.theyDefectedTwice = game.theyDefected && defected;
    game.theyDefected = defected;
    game.defections += Number(defected);
    return game;
  }
}
