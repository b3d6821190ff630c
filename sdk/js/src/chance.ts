/** Chance as rules have it: numbers that follow from the setup's seed, and are part of the state. @module */

/** The state of a generator: eight words of 32 bits, two for each of its four, the higher one first. */
export type Words = number[];

type Long = readonly [high: number, low: number];

function plus([a, b]: Long, [c, d]: Long): Long {
  const low = (b >>> 0) + (d >>> 0);
  return [(a + c + (low > 0xffffffff ? 1 : 0)) >>> 0, low >>> 0];
}

function times(a: Long, [high, low]: Long): Long {
  // The lower word by the whole, in pieces of 16 bits, whose products a double holds exactly.
  const [first, second] = [low & 0xffff, low >>> 16];
  const [third, fourth] = [a[1] & 0xffff, a[1] >>> 16];
  const [inner, outer] = [first * fourth, second * third];
  const middle = Math.floor((first * third) / 0x10000) + (inner % 0x10000) + (outer % 0x10000);
  const carry = Math.floor(middle / 0x10000) + Math.floor(inner / 0x10000) + Math.floor(outer / 0x10000) + second * fourth;
  return [(carry + Math.imul(a[0], low) + Math.imul(a[1], high)) >>> 0, Math.imul(a[1], low) >>> 0];
}

function xor([a, b]: Long, [c, d]: Long): Long {
  return [(a ^ c) >>> 0, (b ^ d) >>> 0];
}

function left([high, low]: Long, by: number): Long {
  return [((high << by) | (low >>> (32 - by))) >>> 0, (low << by) >>> 0];
}

function right([high, low]: Long, by: number): Long {
  return [high >>> by, ((low >>> by) | (high << (32 - by))) >>> 0];
}

function rotated(word: Long, by: number): Long {
  const [high, low] = by < 32 ? word : [word[1], word[0]];
  const rest = by % 32;
  return [((high << rest) | (low >>> (32 - rest))) >>> 0, ((low << rest) | (high >>> (32 - rest))) >>> 0];
}

/**
 * The generator xoshiro256++, its state filled by SplitMix64 from a seed: the same numbers as in the SDKs of all languages.
 *
 * It draws from the words that it is given, in place: as a part of the state of rules they have a run that is taken up again go
 * on as it would have. `new Chance(this.state.words).below(6)`.
 */
export class Chance {
  constructor(readonly words: Words) {
    if (words.length !== 8) throw new TypeError(`a generator has 8 words, and not ${words.length}: take those of \`Chance.seeded\``);
  }

  /** The words of the generator of a seed. */
  static seeded(seed: number): Words {
    let at: Long = [Math.floor(seed / 2 ** 32) >>> 0, seed >>> 0];
    return [0, 1, 2, 3].flatMap(() => {
      at = plus(at, [0x9e3779b9, 0x7f4a7c15]);
      let mixed = times(xor(at, right(at, 30)), [0xbf58476d, 0x1ce4e5b9]);
      mixed = times(xor(mixed, right(mixed, 27)), [0x94d049bb, 0x133111eb]);
      return xor(mixed, right(mixed, 31));
    });
  }

  /** The next 64 bits: the higher 32, and the lower. */
  bits(): Long {
    const long = (place: number): Long => [this.words[2 * place] ?? 0, this.words[2 * place + 1] ?? 0];
    const [a, b, c, d] = [long(0), long(1), long(2), long(3)];
    const drawn = plus(rotated(plus(a, d), 23), a);
    const [third, fourth] = [xor(c, a), xor(d, b)];
    const next = [xor(a, fourth), xor(b, third), xor(third, left(b, 17)), rotated(fourth, 45)];
    next.forEach(([high, low], place) => ([this.words[2 * place], this.words[2 * place + 1]] = [high, low]));
    return drawn;
  }

  /** A whole number below `bound`, which is at most 2³², each as likely as the others. */
  below(bound: number): number {
    if (!(Number.isInteger(bound) && bound > 0 && bound <= 2 ** 32)) {
      throw new RangeError(`a number below ${bound} cannot be drawn: the bound must be from 1 to 2³²`);
    }
    // The product of two words of 32 bits, as its higher word and its lower one.
    const product = (): [number, number] => {
      const drawn = this.bits()[0];
      const low = bound === 2 ** 32 ? 0 : Math.imul(drawn, bound) >>> 0;
      const upper = Math.floor(drawn / 0x10000) * bound + Math.floor(((drawn % 0x10000) * bound) / 0x10000);
      return [bound === 2 ** 32 ? drawn : Math.floor(upper / 0x10000), low];
    };
    let [high, low] = product();
    if (low < bound) {
      const biased = (2 ** 32 - bound) % bound;
      while (low < biased) [high, low] = product();
    }
    return high;
  }

  /** A number from 0 up to, and without, 1. */
  unit(): number {
    const [high, low] = this.bits();
    return (high * 2 ** 21 + (low >>> 11)) / 2 ** 53;
  }

  /** One of some. */
  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item;
  }

  /** Puts items into an order that is as likely as any other. */
  shuffle(items: unknown[]): void {
    for (let place = items.length - 1; place > 0; place--) {
      const other = this.below(place + 1);
      [items[place], items[other]] = [items[other], items[place]];
    }
  }
}
