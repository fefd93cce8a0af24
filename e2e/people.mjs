// What every file of tests begins with: a server, a browser, and people in a room of their own.
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { launch, Person } from "./browser.mjs";
import { Server } from "./server.mjs";

export const server = new Server();
let browser;
let rooms = 0;

before(async () => {
  await server.start();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server.stop();
});

/** Signs people in, each in a window of their own; a name that comes twice is one person with two devices. */
export const signIn = (t, ...names) => signInWith(t, undefined, ...names);

/** The same, with something that runs in their pages before all else. */
export async function signInWith(t, before, ...names) {
  const people = await Promise.all(names.map((name) => Person.signIn(browser, server.url, name, before)));
  t.after(async () => {
    // Chromium now and then does not answer when it is to close a page: the end of the browser takes it along.
    await Promise.all(people.map((p) => Promise.race([p.page.context().close(), new Promise((done) => setTimeout(done, 5000))])));
    assert.deepEqual(people.flatMap((p) => p.complaints), []);
  });
  return people;
}

export const newRoom = () => `e2e-${process.pid}-${Date.now().toString(36)}-${++rooms}`;

/** Ann and bob, in a room of their own that both have open. */
export async function annAndBob(t) {
  const room = newRoom();
  const [ann, bob] = await signIn(t, "ann", "bob");
  await ann.create(room, "bob");
  await bob.open(room);
  return { ann, bob, room };
}
