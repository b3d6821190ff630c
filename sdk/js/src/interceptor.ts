/** Stages of the transport: what messages pass where they leave their sender, and where they arrive. @module */
import { Message, type Address, type Said } from "./types.js";

/** A message on its way. */
export class Passing extends Message {
  constructor(
    /** Whom it was sent to. */
    readonly recipient: Address,
    ...rest: ConstructorParameters<typeof Message>
  ) {
    super(...rest);
  }
}

/** What becomes of a message: nothing, it goes on as it is; text or bytes, with this body; a `Content`, with this content. */
export type Verdict = Said | null | undefined | void;

/**
 * A stage that messages pass. A stage sees every message: it is to be quick. Each node makes instances, as many as it needs at once:
 * what one of them remembers, others do not know, and a fault ends it.
 */
export abstract class Interceptor {
  /**
   * Called once for each instance, with the settings that the chain gives the stage. A `Refusal` says what is wrong with them: each
   * message is then rejected with it.
   */
  configured?(settings: ReadonlyMap<string, string>): void;

  /** Judges a message that leaves its sender; without it they pass. A `Refusal` rejects the message: its sender is told why. */
  outbound?(message: Passing): Verdict;

  /** Judges a message that arrives where its recipient lives; without it they pass. A `Refusal` rejects the message. */
  inbound?(message: Passing): Verdict;
}

/** A class that is a stage of the transport. */
export interface InterceptorClass {
  new (): Interceptor;
}
