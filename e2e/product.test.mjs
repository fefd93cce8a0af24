// What a chat offers beside messages, in the demo page: typing, edits, deletions, reactions, unread counts, invitations, presence.
import assert from "node:assert/strict";
import { test } from "node:test";
import { annAndBob, newRoom, signIn } from "./people.mjs";

const typing = (person) => person.page.locator("#typing");

test("the others see who is typing, until the message is there", async (t) => {
  const { ann, bob } = await annAndBob(t);
  await ann.page.getByRole("textbox", { name: "Message" }).pressSequentially("hel");
  await typing(bob).filter({ hasText: "ann is typing …" }).waitFor();
  assert.equal(await typing(ann).textContent(), "");
  await ann.say("hello");
  await bob.shows(["hello"]);
  await bob.eventually(async () => assert.equal(await typing(bob).textContent(), ""));
  await ann.page.getByRole("textbox", { name: "Message" }).pressSequentially("and");
  await typing(bob).filter({ hasText: "ann is typing …" }).waitFor();
  // Nothing more comes: it ends by itself.
  await bob.eventually(async () => assert.equal(await typing(bob).textContent(), ""));
});

test("an edit, a deletion and reactions are seen by both, now and after a reload", async (t) => {
  const { ann, bob, room } = await annAndBob(t);
  for (const text of ["one", "two", "three"]) await ann.say(text);
  await bob.shows(["one", "two", "three"]);
  await ann.edit("one", "uno");
  await bob.message("uno").locator(".meta", { hasText: "edited" }).waitFor();
  await bob.act("uno", "React with thumbs up");
  await ann.reactions("uno", "👍 1");
  await ann.message("uno").getByRole("button", { name: "thumbs up, 1: bob" }).click();
  await bob.reactions("uno", "👍 2");
  await bob.message("uno").locator(".reactions button").click();
  await ann.reactions("uno", "👍 1");
  await ann.delete("two", "all");
  await bob.page.locator(".note", { hasText: "ann deleted a message" }).waitFor();
  await bob.delete("three", "me");
  await bob.shows(["uno"]);
  await ann.shows(["uno", "three"]);
  for (const [person, texts] of [[ann, ["uno", "three"]], [bob, ["uno"]]]) {
    await person.page.reload();
    await person.page.getByRole("heading", { name: room, exact: true }).waitFor();
    await person.shows(texts);
    await person.reactions("uno", "👍 1");
    await person.page.locator(".note", { hasText: "ann deleted a message" }).waitFor();
  }
});

test("only the own messages can be changed", async (t) => {
  const { ann, bob } = await annAndBob(t);
  await ann.say("mine");
  await bob.shows(["mine"]);
  await bob.message("mine").hover();
  assert.equal(await bob.message("mine").getByRole("button", { name: "Edit" }).count(), 0);
  await bob.act("mine", "Hide");
  assert.equal(await bob.page.getByRole("button", { name: "For everybody" }).isVisible(), false);
  await bob.page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  await bob.shows(["mine"]);
});

test("two devices of one user agree on what is unread, and see what the other sends", async (t) => {
  const room = newRoom();
  const [ann, phone, laptop] = await signIn(t, "ann", "bob", "bob");
  await ann.create(room, "bob");
  for (const text of ["one", "two"]) await ann.say(text);
  await ann.shows(["one", "two"]);
  await phone.unread(room, 2);
  await laptop.unread(room, 2);
  await phone.open(room);
  await phone.shows(["one", "two"]);
  await phone.unread(room, 0);
  await laptop.unread(room, 0);
  await phone.say("three");
  await ann.shows(["one", "two", "three"]);
  await laptop.unread(room, 0);
  await ann.page.locator("#messages .own .meta", { hasText: "read by bob" }).waitFor();
  await laptop.open(room);
  await laptop.shows(["one", "two", "three"]);
  await laptop.page.locator(".own .meta", { hasText: /from web-/ }).waitFor();
  // And while one of them is away.
  await laptop.page.locator("#back").evaluate((button) => button.click());
  await laptop.stayOffline(true);
  await laptop.inState("waiting");
  await ann.say("four");
  await phone.shows(["one", "two", "three", "four"]);
  await phone.unread(room, 0);
  await laptop.stayOffline(false);
  await laptop.inState("active");
  await laptop.unread(room, 0);
});

test("changes made without a network are made once it is back", async (t) => {
  const { ann, bob } = await annAndBob(t);
  for (const text of ["one", "two", "three"]) await ann.say(text);
  await ann.shows(["one", "two", "three"]);
  await ann.stayOffline(true);
  await ann.inState("waiting");
  await ann.edit("one", "uno");
  await ann.message("uno").filter({ hasText: "saving …" }).waitFor();
  await ann.delete("three", "all");
  await bob.say("four");
  await bob.act("two", "React with heart");
  await bob.reactions("two", "❤️ 1");
  await ann.stayOffline(false);
  for (const person of [ann, bob]) {
    await person.shows(["uno", "two", "four"]);
    await person.reactions("two", "❤️ 1");
  }
});

test("cutting the network again and again while messages are edited loses no edit", async (t) => {
  const { ann, bob, room } = await annAndBob(t);
  const texts = Array.from({ length: 6 }, (_, i) => `text ${i + 1}`);
  for (const text of texts) await ann.say(text);
  await bob.shows(texts);
  for (const [i, text] of texts.entries()) {
    await ann.edit(text, `${text} edited`);
    if (i % 2 === 0) await ann.cut();
    if (i % 3 === 1) await bob.cut();
  }
  const want = texts.map((text) => `${text} edited`);
  for (const person of [ann, bob]) await person.shows(want);
  await bob.page.reload();
  await bob.page.getByRole("heading", { name: room, exact: true }).waitFor();
  await bob.shows(want);
});

test("who is invited later sees the room, and what follows", async (t) => {
  const { ann, bob, room } = await annAndBob(t);
  const [cid] = await signIn(t, "cid");
  await ann.invite("cid");
  await bob.page.locator(".note", { hasText: "ann added cid" }).waitFor();
  await cid.open(room);
  await ann.say("welcome");
  await cid.shows(["welcome"]);
  await bob.invite("dan");
  await bob.page.getByText("Only owners and moderators of the room invite.").waitFor();
});

test("the members have a status, where the server knows presence", async (t) => {
  const { ann, bob } = await annAndBob(t);
  const members = ann.page.locator("#members li");
  await members.filter({ hasText: "bob" }).waitFor();
  if (!(await ann.knowsPresence())) {
    t.skip("this server does not know presence");
    return;
  }
  await ann.page.locator('#members li[data-status="online"]', { hasText: "bob" }).waitFor();
  await bob.page.getByLabel("You are").selectOption("dnd");
  await ann.page.locator('#members li[data-status="dnd"]', { hasText: "bob" }).waitFor();
  await bob.page.getByLabel("You are").selectOption("auto");
  await ann.page.locator('#members li[data-status="online"]', { hasText: "bob" }).waitFor();
});
