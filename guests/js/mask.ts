/**
 * Masks words on their way, and refuses messages with others. Its settings:
 *
 * - `words`: what is masked, with spaces between; each must have two letters at least
 * - `forbidden`: what no message may say, with spaces between
 * - `with`: what stands in the place of what is masked; `***` where nothing is said
 *
 * Words are looked for in bodies of the type `text/…`, byte by byte, so that a wrong byte carries nothing through; of those that
 * begin at the same place the longest counts. It judges messages as they leave. With settings that it cannot read it rejects
 * every message. @module
 */
import { Interceptor, Refusal, type Passing } from "matrix-soul";
import { binary, encode } from "matrix-soul/text";

/** The most words of a kind. */
const WORDS_MAX = 64;
const SETTINGS = ["words", "forbidden", "with"];

export default class Mask extends Interceptor {
  /** Words have one letter for each of their bytes, the longest first. */
  private masked: string[] = [];
  private forbidden: string[] = [];
  private replacement: Uint8Array = new Uint8Array();

  override configured(settings: ReadonlyMap<string, string>): void {
    const strange = [...settings.keys()].find((name) => !SETTINGS.includes(name));
    if (strange !== undefined) throw new Refusal(`it has no setting \`${strange}\`: use words, forbidden or with`);
    this.masked = words(settings, "words");
    this.forbidden = words(settings, "forbidden");
    this.replacement = encode(settings.get("with") ?? "***");
    if (this.masked.length + this.forbidden.length === 0) {
      throw new Refusal("it has nothing to do: set `words` or `forbidden`");
    }
  }

  override outbound({ content }: Passing): Uint8Array | undefined {
    if (!content.isText) return undefined;
    const text = binary(content.body);
    if (this.forbidden.some((word) => text.includes(word))) throw new Refusal("it says what no message may say");
    return this.applied(text, content.body);
  }

  /** The body with everything masked; undefined: there is nothing to mask in it. */
  private applied(text: string, body: Uint8Array): Uint8Array | undefined {
    const found = this.masked.map((word) => ({ word, place: text.indexOf(word) })).filter(({ place }) => place >= 0);
    const kept: Uint8Array[] = [];
    let at = 0;
    while (found.length > 0) {
      const first = found.reduce((best, it) => (it.place < best.place ? it : best));
      kept.push(body.subarray(at, first.place), this.replacement);
      at = first.place + first.word.length;
      for (let it = found.length - 1; it >= 0; it--) {
        const other = found[it]!;
        if (other.place < at) other.place = text.indexOf(other.word, at);
        if (other.place < 0) found.splice(it, 1);
      }
    }
    return kept.length === 0 ? undefined : joined([...kept, body.subarray(at)]);
  }
}

/** The words of a setting. Throws a `Refusal` where they are too short, or too many. */
function words(settings: ReadonlyMap<string, string>, name: string): string[] {
  const found = (settings.get(name) ?? "").split(/\s+/).filter(Boolean);
  if (found.length > WORDS_MAX) throw new Refusal(`its setting \`${name}\` has ${found.length} words: there may be ${WORDS_MAX}`);
  const short = found.find((word) => [...word].length < 2);
  if (short !== undefined) throw new Refusal(`its setting \`${name}\` has \`${short}\`: a word must have two letters at least`);
  return found.map((word) => binary(encode(word))).sort((a, b) => b.length - a.length);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => (bytes.set(part, at), at + part.length), 0);
  return bytes;
}
