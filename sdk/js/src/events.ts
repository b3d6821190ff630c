/** The node's event bus (`matrix:node/events`). @module */
import { port } from "./host.js";
import { Content, type Said } from "./types.js";

const host = port("events");

/**
 * Publishes an event under the Soul's own name. `kind` is a dotted name, such as `trade.filled`. What exceeds the Soul's quota
 * is dropped, counted and reported.
 */
export function emit(kind: string, said: Said): void {
  host.emit(kind, Content.of(said));
}
