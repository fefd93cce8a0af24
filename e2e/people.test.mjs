// What people see of each other and of their own devices: who has read, a status in words, notices.
import assert from "node:assert/strict";
import { test } from "node:test";
import { annAndBob, newRoom, signIn, signInWith } from "./people.mjs";

test("who answers has read, also for who comes back later", async (t) => {
  const { ann, bob, room } = await annAndBob(t);
  const readBy = () => ann.message("question").locator(".meta", { hasText: "read by bob" }).waitFor();
  await bob.stayOffline(true);
  await ann.say("question");
  await ann.shows(["question"]);
  await bob.say("answer"); // behind the question, before bob has seen that
  await bob.stayOffline(false);
  await ann.shows(["question", "answer"]);
  await readBy();
  await ann.page.reload(); // read markers are not told again
  await ann.page.getByRole("heading", { name: room, exact: true }).waitFor();
  await ann.shows(["question", "answer"]);
  await readBy();
});

test("a status with words, an emoji and an end is seen by others and by one's other devices", async (t) => {
  const { ann, bob } = await annAndBob(t);
  const [other] = await signIn(t, "bob");
  const seen = ann.page.locator("#members li", { hasText: "bob" });
  await seen.waitFor();
  if (!(await ann.knowsPresence())) {
    t.skip("this server does not know presence");
    return;
  }
  const says = (person, pattern) => person.eventually(async () => assert.match(await person.page.locator("#status-edit").textContent(), pattern));
  await bob.page.locator("#status-edit").click();
  await bob.page.getByLabel("What others read").fill("at lunch");
  await bob.page.getByLabel("Emoji").fill("🍲");
  await bob.page.getByLabel("Clear it").selectOption("in an hour");
  await bob.page.getByRole("button", { name: "Save", exact: true }).click();
  await seen.filter({ hasText: "🍲 at lunch" }).waitFor();
  await says(other, /^🍲 at lunch \(until .+\)$/);
  // Another status leaves the words alone, and their end.
  await other.page.getByLabel("You are").selectOption("dnd");
  await ann.page.locator('#members li[data-status="dnd"]', { hasText: "🍲 at lunch" }).waitFor();
  await bob.page.reload();
  await bob.inState("active");
  await says(bob, /^🍲 at lunch \(until .+\)$/);
  assert.equal(await bob.page.getByLabel("You are").inputValue(), "dnd");
  await bob.page.locator("#status-edit").click();
  await bob.page.getByRole("button", { name: "Empty", exact: true }).click();
  await bob.page.getByRole("button", { name: "Save", exact: true }).click();
  await says(other, /^Set a status$/);
  await bob.page.getByLabel("You are").selectOption("auto");
  await ann.page.locator('#members li[data-status="online"]', { hasText: "bob" }).waitFor();
  assert.equal(await seen.locator(".says").count(), 0);
});

test("other devices are shown when they come and when one looks again, without waiting for a clock", async (t) => {
  const [ann] = await signInWith(t, () => { window.setInterval = () => 0; }, "dan");
  const shown = ann.page.locator("#devices");
  if (!(await ann.knowsPresence())) {
    t.skip("this server does not know presence");
    return;
  }
  const [other] = await signIn(t, "dan");
  const device = await other.page.evaluate(() => sessionStorage.getItem("device"));
  await shown.filter({ hasText: `also on ${device}` }).waitFor();
  await other.page.getByRole("button", { name: "Sign out" }).click();
  await ann.eventually(async () => {
    await ann.page.evaluate(() => window.dispatchEvent(new Event("focus")));
    assert.equal(await shown.textContent(), "");
  });
});

test("a room of a type that there is not is refused with what is wanted", async (t) => {
  const [ann] = await signIn(t, "ann");
  for (const name of ["a:b", "a:b:c", ":b"]) {
    await ann.page.getByLabel("Room name").fill(name);
    await ann.page.getByRole("button", { name: "Create", exact: true }).click();
    const told = ann.page.locator("#room-error");
    await ann.eventually(async () => assert.match(await told.textContent(), /^Want type:id .* such as conv:lunch/));
    await ann.page.getByLabel("Room name").fill("");
  }
});

test("who is mentioned elsewhere sees a notice, and comes by it", async (t) => {
  const room = `channel:${newRoom()}`;
  const [ann, bob] = await signIn(t, "ann", "bob");
  await ann.join(room);
  await ann.say("nobody is meant");
  await ann.say("come here, @bob!");
  const toast = bob.page.locator("#toast");
  await toast.filter({ hasText: `ann mentioned you in ${room.slice("channel:".length)}: come here, @bob!` }).waitFor();
  assert.equal(await ann.page.locator("#toast").isVisible(), false);
  await toast.click();
  await bob.page.getByRole("heading", { name: room, exact: true }).waitFor();
  await bob.shows(["nobody is meant", "come here, @bob!"]);
  assert.equal(await toast.isVisible(), false);
});
