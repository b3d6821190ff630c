/** How calls reach what lives in a component, whatever it is. @module */
import { Refusal } from "./types.js";

/** The functions of one interface. */
export type Functions = Record<string, (...given: any[]) => any>;

/** Interfaces whose refusals are told as the node takes them; `complain` is told of faults before they end the instance. */
export function guarded(interfaces: Record<string, Functions>, complain: (fault: unknown) => void): Record<string, Functions> {
  const each = <From, To>(named: Record<string, From>, made: (it: From) => To): Record<string, To> =>
    Object.fromEntries(Object.entries(named).map(([name, it]) => [name, made(it)]));
  return each(interfaces, (functions) => each(functions, (call) => (...given: any[]) => entered(call, given, complain)));
}

/** A call whose refusal is told as the interface has it, and whose fault is complained of before it ends the instance. */
function entered(call: (...given: any[]) => any, given: any[], complain: (fault: unknown) => void): any {
  try {
    return call(...given);
  } catch (error) {
    if (error instanceof Refusal) throw error.message;
    complain(error);
    throw error;
  }
}
