/** The gRPC services of the fake node of `matrix-soul/testing`: canned answers, or functions that answer. @module */
import { CODES, RpcError, type Code } from "./grpc.js";

/** What a method answers: always the same, or what a function makes of the request. The function may throw an `RpcError`. */
export type Answer = Uint8Array | ((request: Uint8Array) => Uint8Array);

/** What the Souls of the node can call. */
export class Services {
  readonly #answers = new Map<string, Readonly<Record<string, Answer>>>();
  /** What was called. */
  readonly called: { endpoint: string; method: string; request: Uint8Array }[] = [];

  constructor(private readonly node: { isDenied(grant: string): boolean }) {}

  /** From now on there is this endpoint, with these methods. */
  serve(endpoint: string, answers: Readonly<Record<string, Answer>>): void {
    this.#answers.set(endpoint, answers);
  }

  /** @internal */
  call(endpoint: string, method: string, request: Uint8Array, _timeoutMs: number): Uint8Array {
    if (this.node.isDenied("grpc")) throw failed("PERMISSION_DENIED", `no grant: add "${endpoint}" to \`grants.grpc\``, true);
    const answers = this.#answers.get(endpoint);
    if (answers === undefined) throw failed("FAILED_PRECONDITION", `this node has no gRPC endpoint \`${endpoint}\``, true);
    this.called.push({ endpoint, method, request });
    const answer = answers[method];
    if (answer === undefined) throw failed("UNIMPLEMENTED", `no method \`${method}\``);
    try {
      return typeof answer === "function" ? answer(request) : answer;
    } catch (error) {
      throw error instanceof RpcError ? failed(error.code, error.detail, error.byNode) : error;
    }
  }
}

/** What the interface fails with. */
function failed(code: Code, message: string, byNode = false): Error {
  return Object.assign(new Error(`${code} (see error.payload)`), { payload: { code: CODES.indexOf(code), message, byNode } });
}
