/** Time and chance as a Soul has them: the message's time, and what follows from the seed of its birth. @module */

let now = 0;
/** Four words of a generator of the family xoshiro, of 32 bits. */
let words: [number, number, number, number] = [1, 2, 3, 4];

/** The time of the message that is handled, in milliseconds since the Unix epoch. In a tick it is that of the last message. */
export function nowMs(): number {
  return now;
}

/** Sets the time. */
export function moveTo(ms: number): void {
  now = ms;
}

/** Seeds what stands in for `Math.random`. */
export function seed(value: number): void {
  // The words are drawn one after the other, so that seeds which differ little give sequences that differ much.
  let at = (value ^ Math.floor(value / 2 ** 32)) >>> 0;
  const draw = () => {
    at = (at + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(at ^ (at >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return (mixed ^ (mixed >>> 16)) >>> 0;
  };
  words = [draw(), draw(), draw(), draw() | 1];
}

function next(): number {
  const [a, b, c, d] = words;
  const sum = Math.imul(b, 5);
  const result = Math.imul((sum << 7) | (sum >>> 25), 9) >>> 0;
  const [third, fourth] = [c ^ a, d ^ b];
  words = [a ^ fourth, b ^ third, third ^ (b << 9), (fourth << 11) | (fourth >>> 21)];
  return result;
}

/** A number from 0 up to 1, of 53 bits. */
export function random(): number {
  return ((next() >>> 5) * 2 ** 26 + (next() >>> 6)) / 2 ** 53;
}

/** Has `Date`, `Math.random` and `performance.now` go by the Soul's time and chance. */
export function install(): void {
  const Real = Date;
  const SoulDate = function (this: unknown, ...given: unknown[]): unknown {
    if (new.target === undefined) return new Real(now).toString();
    const made = given.length === 0 ? [now] : given;
    return Reflect.construct(Real, made, new.target);
  } as unknown as DateConstructor;
  Object.setPrototypeOf(SoulDate, Real);
  Object.defineProperty(SoulDate, "prototype", { value: Real.prototype });
  SoulDate.now = () => now;
  Real.prototype.constructor = SoulDate;
  globalThis.Date = SoulDate;
  Math.random = random;
  Object.assign(globalThis, { performance: { now: () => now } });
}

/** Has `Math.random` throw: rules and interceptors have no chance of their own. */
export function forbidChance(): void {
  Math.random = () => {
    throw new Error(
      "rules and interceptors have no `Math.random`: rules draw from a `Chance` of the setup's seed, whose words are in their state",
    );
  };
}
