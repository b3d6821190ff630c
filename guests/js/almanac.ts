/**
 * Tells the weather of the place that it is told, as the gRPC service `weather` tells it: `Zion` is answered by the forecast for
 * Zion. Needs the grant `grpc = ["weather"]`, and a node whose operator has such an endpoint. @module
 */
import { Soul, type Message } from "matrix-soul";
import { call } from "matrix-soul/grpc";
import { decode, encode } from "matrix-soul/text";

export const METHOD = "weather.v1.Weather/Forecast";

/** Its request and its answer are messages with one text, which is field 1. */
export default class Almanac extends Soul {
  receive(message: Message): string {
    return read(call("weather", METHOD, written(message.text), 5_000));
  }
}

/** A message of protobuf whose field 1 is this text. */
export function written(text: string): Uint8Array {
  const data = encode(text);
  const head = [0x0a];
  let length = data.length;
  for (; length > 0x7f; length >>= 7) head.push((length & 0x7f) | 0x80);
  return Uint8Array.from([...head, length, ...data]);
}

/** The text that is field 1 of a message; empty where there is none. */
export function read(message: Uint8Array): string {
  if (message[0] !== 0x0a) return "";
  const at = message.findIndex((byte, place) => place > 0 && byte <= 0x7f);
  return decode(message.subarray(at + 1)) ?? "";
}
