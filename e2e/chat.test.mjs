// People chat in the demo page while networks and servers go away.
import assert from "node:assert/strict";
import { test } from "node:test";
import { annAndBob, server, signInWith } from "./people.mjs";

const numbered = (word, n) => Array.from({ length: n }, (_, i) => `${word} ${i + 1}`);

test("two people chat, both ways", async (t) => {
  const { ann, bob } = await annAndBob(t);
  await ann.say("hello bob");
  await bob.shows(["hello bob"]);
  await bob.say("hello ann\nsecond <b>line</b>");
  for (const person of [ann, bob]) await person.shows(["hello bob", "hello ann\nsecond <b>line</b>"]);
  await ann.page.locator("#messages .own .meta", { hasText: "stored #2" }).waitFor();
});

test("who stays offline gets everything once, in order", async (t) => {
  const { ann, bob } = await annAndBob(t);
  const texts = numbered("offline", 20);
  await bob.stayOffline(true);
  await bob.inState("waiting");
  for (const text of texts) await ann.say(text);
  await ann.shows(texts);
  await bob.stayOffline(false);
  await bob.notice("resumed, 20 missed messages");
  await bob.shows(texts);
});

test("what is written offline is sent afterwards", async (t) => {
  const { ann, bob } = await annAndBob(t);
  const texts = numbered("later", 5);
  await bob.stayOffline(true);
  for (const text of texts) await bob.say(text);
  assert.equal(await bob.page.locator(".sending").count(), 5);
  await bob.stayOffline(false);
  for (const person of [ann, bob]) await person.shows(texts);
});

test("cutting the network again and again loses and repeats nothing", async (t) => {
  const { ann, bob } = await annAndBob(t);
  const texts = numbered("cut", 20);
  for (const [i, text] of texts.entries()) {
    await ann.say(text);
    if (i % 5 === 2) await bob.cut();
    if (i % 7 === 3) await ann.cut();
    if (i % 5 === 2) await bob.inState("active");
    if (i % 7 === 3) await ann.inState("active");
  }
  for (const person of [ann, bob]) await person.shows(texts);
});

test("the browser's own offline mode", async (t) => {
  const { ann, bob } = await annAndBob(t);
  const texts = numbered("browser", 20);
  await bob.page.context().setOffline(true);
  await bob.inState("waiting");
  for (const text of texts) await ann.say(text);
  await ann.shows(texts);
  await bob.page.context().setOffline(false);
  await bob.shows(texts);
});

test("a killed server loses nothing that it acknowledged", { skip: !server.ours && "neither E2E_BIN nor E2E_COMMAND is set" }, async (t) => {
  const { ann, bob, room } = await annAndBob(t);
  const first = numbered("before", 10);
  const rest = numbered("while dead", 10);
  for (const text of first) await ann.say(text);
  await bob.shows(first);
  await bob.stayOffline(true);
  await server.kill();
  await ann.page.waitForSelector('body:not([data-state="active"])');
  for (const text of rest) await ann.say(text);
  await server.start();
  await bob.stayOffline(false);
  for (const person of [ann, bob]) await person.shows([...first, ...rest]);
  await bob.page.reload();
  await bob.inState("active");
  await bob.page.getByRole("heading", { name: room, exact: true }).waitFor();
  await bob.shows([...first, ...rest]);
});

test("nobody has to wait for the next try", { skip: !server.ours && "neither E2E_BIN nor E2E_COMMAND is set" }, async (t) => {
  const [ann] = await signInWith(t, () => { Math.random = () => 1000; }, "ann"); // the next try would be minutes away
  await server.kill();
  const now = ann.page.getByRole("button", { name: "Try now" });
  await now.waitFor();
  await server.start();
  await now.click();
  await ann.inState("active");
  await now.waitFor({ state: "hidden" });
  await ann.stayOffline(true);
  await ann.inState("waiting");
  assert.equal(await now.isVisible(), false, "who chose to be offline waits for nothing");
});

test("a room's older messages are read when somebody scrolls back", async (t) => {
  const { ann, bob, room } = await annAndBob(t);
  const texts = numbered("old", 70);
  for (const text of texts) await ann.say(text);
  await ann.shows(texts);
  await bob.page.reload();
  await bob.page.getByRole("heading", { name: room, exact: true }).waitFor();
  await bob.page.locator(".bubble", { hasText: "old 70" }).waitFor();
  assert.ok((await bob.texts()).length < 70);
  await bob.page.locator("#scroll").evaluate((node) => node.scrollTo(0, 0));
  await bob.shows(texts);
});
