// What tests of clients begin with: a fake server, clients of it, and waiting for events.
import WebSocket from "ws";
import { Client } from "../.out/index.js";
import { FakeServer } from "./server.mjs";
import { connected, next } from "../wait.mjs";

export { connected, next };

export async function setup(t) {
  const server = await new FakeServer().listen();
  const clients = [];
  t.after(async () => {
    await Promise.all(clients.map((c) => c.close()));
    await server.close();
  });
  const make = (user, options = {}) => {
    const client = new Client({ url: server.url, token: `dev-${user}`, WebSocket, transports: ["websocket"], backoffBase: 20, gapTimeout: 30, ackDelay: 5, ...options });
    clients.push(client);
    return client;
  };
  return { server, make };
}

export const reached = (client, room, offset) =>
  client.position(room)?.offset >= offset ? Promise.resolve() : next(client, "message", (m) => m.room === room && m.offset >= offset);

/** Resolves as soon as `holds` does, which each call of what `listen` is given looks at. */
export const until = (listen, holds) =>
  new Promise((resolve) => {
    const off = listen(() => {
      if (!holds()) return;
      off();
      resolve();
    });
    if (holds()) {
      off();
      resolve();
    }
  });

export async function pair(t) {
  const { server, make } = await setup(t);
  const ann = make("ann");
  const bob = make("bob");
  await Promise.all([connected(ann), connected(bob)]);
  await ann.room.create("conv:1", { members: ["bob"] });
  await reached(bob, "conv:1", 1);
  return { server, make, ann, bob };
}
