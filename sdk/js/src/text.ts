/**
 * UTF-8: the engine inside a component has no `TextEncoder`. What is long is read and written by what the engine does itself: a loop
 * over the letters of a body that is as long as may be takes 60 ms there, and an interceptor has 20. @module
 */

/** From how many letters, or bytes, on something is long. */
const LONG = 64;
/** A letter of a text that is not the same as its byte. */
const WIDE = /[^\x00-\x7f]/;

/** What engines have beside the language; of Node.js only the latest have all. */
declare const Uint8Array: Uint8ArrayConstructor & { fromBase64?(text: string): Uint8Array };
declare function btoa(binary: string): string;
declare function atob(text: string): string;

/** Text as UTF-8; half a surrogate pair becomes U+FFFD. */
export function encode(text: string): Uint8Array {
  if (text.length < LONG || Uint8Array.fromBase64 === undefined) return looped(text);
  try {
    return fromBinary(WIDE.test(text) ? unescape(encodeURIComponent(text)) : text);
  } catch (error) {
    // Half a surrogate pair is no text to the engine.
    if (error instanceof URIError) return looped(text);
    throw error;
  }
}

/** UTF-8 as text; undefined where it is none. */
export function decode(bytes: Uint8Array): string | undefined {
  const text = binary(bytes);
  if (!WIDE.test(text)) return text;
  try {
    return decodeURIComponent(escape(text));
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}

/** Bytes as a text of as many letters, each of the number of its byte: what can be searched as fast as texts can. */
export function binary(bytes: Uint8Array): string {
  const { toBase64 } = bytes as { toBase64?: () => string };
  if (bytes.length >= LONG && toBase64 !== undefined) return atob(toBase64.call(bytes));
  const parts: string[] = [];
  for (let at = 0; at < bytes.length; at += PART) {
    parts.push(String.fromCharCode.apply(null, bytes.subarray(at, at + PART) as unknown as number[]));
  }
  return parts.join("");
}

/** The bytes of a text of `binary`, each letter of which is below 256. */
export function fromBinary(text: string): Uint8Array {
  if (text.length >= LONG && Uint8Array.fromBase64 !== undefined) return Uint8Array.fromBase64(btoa(text));
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

/** How many bytes become letters in one call. */
const PART = 4096;

function looped(text: string): Uint8Array {
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
