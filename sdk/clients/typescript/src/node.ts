/** The way to a node: its address, the token that it is shown, and a client a service. @module */
import { readFileSync } from "node:fs";

import { createClient, type Client, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";

import { Components } from "../generated/matrix/v1/components_pb.js";
import { Events } from "../generated/matrix/v1/events_pb.js";
import { Souls } from "../generated/matrix/v1/souls_pb.js";

/** A node's services, as far as this example needs them. */
export interface Node {
  readonly components: Client<typeof Components>;
  readonly souls: Client<typeof Souls>;
  readonly events: Client<typeof Events>;
  /** Lets go of the node: streams that are open end. */
  close(): void;
}

/** Connects to `http://HOST:PORT`, or `https://…`, with the token in a file, such as `data/token`. */
export function connect(address: string, tokenFile: string): Node {
  const token = readFileSync(tokenFile, "utf8").trim();
  const showToken: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  const sessionManager = new Http2SessionManager(address);
  const transport = createGrpcTransport({ baseUrl: address, interceptors: [showToken], sessionManager });
  return {
    components: createClient(Components, transport),
    souls: createClient(Souls, transport),
    events: createClient(Events, transport),
    close: () => sessionManager.abort(),
  };
}
