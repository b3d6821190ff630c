/** Where an instance of an interceptor lives inside its component, and how messages reach it. @module */
import * as clock from "./clock.js";
import type { Functions } from "./guarded.js";
import { failure, port } from "./host.js";
import type { Interceptor, InterceptorClass } from "./interceptor.js";
import * as packing from "./packing.js";
import { Content, Refusal } from "./types.js";

const store = port("config");

/** The interface by which a node reaches a stage of this class. Its instance is made for the first message. */
export function judging(inhabitant: InterceptorClass): Record<string, Functions> {
  let made: Interceptor | Refusal | undefined;
  const stage = (): Interceptor => {
    made ??= configured(new inhabitant());
    if (made instanceof Refusal) throw made;
    return made;
  };
  const judge = (way: "outbound" | "inbound") => (wire: any) => {
    try {
      const message = packing.passing(wire);
      clock.moveTo(message.sentAt);
      const said = stage()[way]?.(message);
      if (said === undefined || said === null) return { tag: "pass" };
      const { contentType, body } = Content.of(said);
      // Text or bytes take the place of the body alone.
      const changed = said instanceof Content ? { contentType, body } : { body };
      return { tag: "rewrite", val: { ...wire, ...changed } };
    } catch (error) {
      if (error instanceof Refusal) return { tag: "reject", val: error.message };
      throw error;
    }
  };
  return { interceptor: { outbound: judge("outbound"), inbound: judge("inbound") } };
}

function configured(stage: Interceptor): Interceptor | Refusal {
  if (stage.configured === undefined) return stage;
  try {
    stage.configured(settings());
    return stage;
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
}

function settings(): ReadonlyMap<string, string> {
  try {
    return new Map<string, string>(store.getAll());
  } catch (error) {
    throw new Refusal(`its settings cannot be had: ${failure(error).val}`);
  }
}
