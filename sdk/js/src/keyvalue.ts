/** The replicated key-value store (`wasi:keyvalue`), one bucket at a time. @module */
import { failure, port } from "./host.js";
import { Refusal } from "./types.js";

const store = port("store");
const atomics = port("atomics");
const batch = port("batch");

/** Why an operation failed. Not caught, it becomes the failure of the message being handled. */
export class KeyValueError extends Refusal {
  override name = "KeyValueError";

  constructor(readonly kind: "no-such-store" | "access-denied" | "other", message: string) {
    super(message);
  }
}

/** An open bucket of keys and values; get one by `open`. Every method may throw a `KeyValueError`. */
export class Bucket {
  readonly #name: string;
  readonly #bucket: any;

  /** @internal */
  constructor(name: string) {
    this.#name = name;
    this.#bucket = this.#call(() => store.open(name));
  }

  /** The value of a key; undefined where it has none. */
  get(key: string): Uint8Array | undefined {
    return this.#call(() => this.#bucket.get(key)) ?? undefined;
  }

  /** Gives a key a value, whether or not it had one. */
  set(key: string, value: Uint8Array): void {
    this.#call(() => this.#bucket.set(key, value));
  }

  /** Takes a key's value away; no error if it has none. */
  delete(key: string): void {
    this.#call(() => this.#bucket.delete(key));
  }

  /** Whether a key has a value. */
  has(key: string): boolean {
    return this.#call(() => this.#bucket.exists(key));
  }

  /** The keys, fetched a page at a time. */
  *keys(): Generator<string, void> {
    let cursor: unknown = undefined;
    do {
      const page: any = this.#call(() => this.#bucket.listKeys(cursor));
      yield* page.keys;
      cursor = page.cursor ?? undefined;
    } while (cursor !== undefined);
  }

  /** Adds to the number under a key (none counts as 0), atomically, and returns the sum. */
  increment(key: string, delta = 1): number {
    return Number(this.#call(() => atomics.increment(this.#bucket, key, delta)));
  }

  /** The values of several keys, in the same order; undefined for a key that has none. */
  getMany(keys: readonly string[]): (Uint8Array | undefined)[] {
    const found: any[] = this.#call(() => batch.getMany(this.#bucket, [...keys]));
    return found.map((it) => it?.[1]);
  }

  /** Gives several keys their values. Not atomic: some may be set where an error is thrown. */
  setMany(entries: Iterable<readonly [string, Uint8Array]>): void {
    this.#call(() => batch.setMany(this.#bucket, [...entries]));
  }

  /** Takes several keys' values away. Not atomic, as `setMany`. */
  deleteMany(keys: readonly string[]): void {
    this.#call(() => batch.deleteMany(this.#bucket, [...keys]));
  }

  #call(call: () => any): any {
    try {
      return call();
    } catch (error) {
      const { tag, val } = failure(error);
      const texts: Record<string, string> = {
        "no-such-store": `there is no bucket \`${this.#name}\``,
        "access-denied": `there is no grant for this in the bucket \`${this.#name}\``,
      };
      throw new KeyValueError(tag as KeyValueError["kind"], texts[tag] ?? String(val));
    }
  }
}

/** Opens a bucket by its name. Throws a `KeyValueError`. */
export function open(name: string): Bucket {
  return new Bucket(name);
}
