import { json } from "./codec.ts";
import { Connection } from "./connection.ts";
import type { ConnectionHandlers } from "./connection.ts";
import type { Dial, Transport } from "./options.ts";
import { PollSocket } from "./poll.ts";
import { TOKEN_PREFIX } from "./protocol.ts";

/** Begins to open a connection. Over polling the token has to come with the first envelope. */
export function dial({ socket, url, codec, pollUrl, fetch }: Dial, transport: Transport, token: string | undefined, handlers: ConnectionHandlers): Connection {
  if (transport === "polling") return new Connection(new PollSocket(pollUrl, fetch), json, handlers);
  const protocols = token === undefined ? [codec.subprotocol] : [codec.subprotocol, TOKEN_PREFIX + token];
  return new Connection(new socket!(url, protocols), codec, handlers);
}
