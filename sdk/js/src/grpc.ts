/**
 * gRPC services outside the realm (`matrix:node/grpc`), by the names that the node's operator gave them. They are there, with the
 * grant `grpc`, while a message is handled or a tick is played. Requests and answers are encoded protobuf messages.
 * @module
 */
import { port } from "./host.js";
import { Refusal } from "./types.js";

const host = port("grpc");

/** What went wrong, as gRPC names and numbers it. */
export const CODES = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
] as const;
/** One of them. */
export type Code = (typeof CODES)[number];

/** Why a call has no answer. Not caught, it becomes the failure of the message being handled. */
export class RpcError extends Refusal {
  override name = "RpcError";

  constructor(
    /** What went wrong. */
    readonly code: Code,
    /** The same in words, as it was said. */
    readonly detail: string,
    /** The node says so and not the service: it refused the call, did not reach the service, or had no answer in time. */
    readonly byNode = false,
  ) {
    super(`${byNode ? "the node" : "the service"} says ${code}: ${detail}`);
  }
}

/**
 * Calls a unary method, `package.Service/Method`, and waits for its answer: at most `timeoutMs`, and no longer than the operator and
 * the deadline of the message let it. The Soul receives nothing else meanwhile. Throws an `RpcError`.
 */
export function call(endpoint: string, method: string, request: Uint8Array, timeoutMs?: number): Uint8Array {
  const within = timeoutMs === undefined ? 0 : Math.min(Math.max(Math.round(timeoutMs), 1), 2 ** 32 - 1);
  try {
    return host.call(endpoint, method, request, within);
  } catch (error) {
    const status = (error as { payload?: any } | null)?.payload;
    if (typeof status?.code !== "number") throw error;
    throw new RpcError(CODES[status.code] ?? "UNKNOWN", status.message, status.byNode);
  }
}
