/**
 * Write Souls for Matrix OS in JavaScript and TypeScript.
 *
 * A module's default export is the Soul: a class whose `state` outlives restarts, moves and new code. What a node lets a Soul
 * reach lies in modules of its own: `matrix-soul/messaging`, `/memory`, `/keyvalue` and `/events`. A component imports what
 * its code imports, and so asks for no right that it does not use. Log lines are written with `console`.
 *
 * In a component there is no clock and no entropy: `Date` and `Math.random` go by the time of the message that is handled, and
 * by the seed of the birth. So the same messages give the same answers.
 * @module
 */
export * from "./types.js";
export * from "./soul.js";
export type { Json } from "./state.js";
