/**
 * Masks words on their way, and refuses messages with others. Its settings:
 *
 * - `words`: what is masked, with spaces between
 * - `forbidden`: what no message may say, with spaces between
 * - `with`: what stands in the place of what is masked; `***` where nothing is said. No word may be shorter: a message must not grow
 *
 * Words are looked for in bodies of the type `text/…`, byte by byte, so that a wrong byte carries nothing through; one after the other,
 * the longest first. It judges messages as they leave. With settings that it cannot read it rejects every message. @module
 */
import { Interceptor, Refusal, type Passing } from "matrix-soul";
import { binary, decode, encode, fromBinary } from "matrix-soul/text";

/** The most words of a kind. */
const WORDS_MAX = 64;
const SETTINGS = ["words", "forbidden", "with"];

/** Its words have one letter for each of their bytes, and the longest come first. */
export default class Mask extends Interceptor {
  private masked: string[] = [];
  private forbidden: string[] = [];
  private replacement = "";

  override configured(settings: ReadonlyMap<string, string>): void {
    const strange = [...settings.keys()].find((name) => !SETTINGS.includes(name));
    if (strange !== undefined) throw new Refusal(`it has no setting \`${strange}\`: use words, forbidden or with`);
    this.masked = words(settings, "words");
    this.forbidden = words(settings, "forbidden");
    const replacement = binary(encode(settings.get("with") ?? "***"));
    const shortest = this.masked.at(-1);
    if (this.masked.length + this.forbidden.length === 0) {
      throw new Refusal("it has nothing to do: set `words` or `forbidden`");
    }
    if (shortest !== undefined && shortest.length < replacement.length) {
      const shown = decode(fromBinary(shortest));
      throw new Refusal(`its setting \`words\` has \`${shown}\`, which is shorter than what stands in its place`);
    }
    // As `replaceAll` takes it.
    this.replacement = replacement.replaceAll("$", "$$$$");
  }

  override outbound({ content }: Passing): Uint8Array | undefined {
    if (!content.isText) return undefined;
    const text = binary(content.body);
    if (this.forbidden.some((word) => text.includes(word))) throw new Refusal("it says what no message may say");
    const masked = this.masked.reduce((so, word) => so.replaceAll(word, this.replacement), text);
    return masked === text ? undefined : fromBinary(masked);
  }
}

/** The words of a setting. Throws a `Refusal` where they are too many. */
function words(settings: ReadonlyMap<string, string>, name: string): string[] {
  const found = (settings.get(name) ?? "").split(/\s+/).filter(Boolean);
  if (found.length > WORDS_MAX) throw new Refusal(`its setting \`${name}\` has ${found.length} words: there may be ${WORDS_MAX}`);
  return found.map((word) => binary(encode(word))).sort((a, b) => b.length - a.length);
}
