/** UTF-8: the engine inside a component has no `TextEncoder`. @module */

/** Text as UTF-8; half a surrogate pair becomes U+FFFD. */
export function encode(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const letter of text) {
    const code = letter.codePointAt(0) ?? 0;
    const point = code >= 0xd800 && code <= 0xdfff ? 0xfffd : code;
    if (point < 0x80) bytes.push(point);
    else if (point < 0x800) bytes.push(0xc0 | (point >> 6), 0x80 | (point & 63));
    else if (point < 0x10000) bytes.push(0xe0 | (point >> 12), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63));
    else bytes.push(0xf0 | (point >> 18), 0x80 | ((point >> 12) & 63), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63));
  }
  return Uint8Array.from(bytes);
}

/** Bytes as a text of as many letters, each of the number of its byte: what can be searched as fast as texts can. */
export function binary(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (let at = 0; at < bytes.length; at += PART) {
    parts.push(String.fromCharCode.apply(null, bytes.subarray(at, at + PART) as unknown as number[]));
  }
  return parts.join("");
}

/** How many bytes become letters in one call. */
const PART = 4096;

/** UTF-8 as text; undefined where it is none. By what the engine does itself: a loop over the bytes would take ten times as long. */
export function decode(bytes: Uint8Array): string | undefined {
  try {
    return decodeURIComponent(escape(binary(bytes)));
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}
