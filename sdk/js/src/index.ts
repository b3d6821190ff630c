/**
 * Write Souls, rules and interceptors for Matrix OS in JavaScript and TypeScript.
 *
 * A module's default export is the Soul: a class whose `state` outlives restarts, moves and new code. The rules of a Matrix are a
 * class that extends `Rules`, a stage that messages pass one that extends `Interceptor`. What a node lets a Soul
 * reach lies in modules of its own: `matrix-soul/messaging`, `/memory`, `/keyvalue` and `/events`. A component imports what
 * its code imports, and so asks for no right that it does not use. Log lines are written with `console`.
 *
 * In a component there is no clock and no entropy: `Date` and `Math.random` go by the time of the message that is handled, and
 * by the seed of the birth. So the same messages give the same answers. Rules have no time, and draw from a `Chance` of the seed.
 * @module
 */
import "./console.js";

export * from "./types.js";
export { Experience, Soul } from "./soul.js";
export type { Birth, Learner, Metrics, Persona, Player, Reply, Source, SoulClass, Turn } from "./soul.js";
export { discrete, Outcome, Rules, Setup } from "./rules.js";
export type { Action, Description, Prompt, RulesClass } from "./rules.js";
export { Interceptor, Passing } from "./interceptor.js";
export type { InterceptorClass, Verdict } from "./interceptor.js";
export { Chance, type Words } from "./chance.js";
export type { Migration } from "./stateful.js";
export type { Json } from "./state.js";
