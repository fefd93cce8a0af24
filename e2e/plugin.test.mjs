// What a plugin does to messages is what people see.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { annAndBob, server } from "./people.mjs";

const example = fileURLToPath(new URL("../examples/plugins/profanity", import.meta.url));
const heddle = (...args) => promisify(execFile)(process.env.E2E_BIN, ["plugin", ...args]);

/** Puts a plugin into the node, whose folder of them is watched. */
async function install(folder, name) {
  const live = join(server.data, "plugins", "dev");
  await mkdir(live, { recursive: true });
  await heddle("build", folder, "-o", join(live, `${name}.zip`));
}

// Refuses for good what says "never", and once, for long, each event that says "slow".
const REFUSER = `package main

import (
	"strings"
	"time"

	heddle "github.com/heddle-rt/heddle/sdk-wasm/go"
)

var seen = map[string]bool{}

func init() {
	heddle.On("message:send", check)
	heddle.On("message:edit", check)
}

func main() {}

func check(e *heddle.Event) error {
	text := e.Text("text")
	switch {
	case strings.HasPrefix(text, "never"):
		return e.Forbid("not that word")
	case strings.HasPrefix(text, "slow") && !seen[text]:
		seen[text] = true
		return e.RateLimit("slow mode: one message in 30 s", 30*time.Second)
	}
	return nil
}
`;

test("a plugin that is put into a node that runs masks what is said from then on", { skip: !process.env.E2E_BIN && "the server is not ours" }, async (t) => {
  const { ann, bob } = await annAndBob(t);
  await ann.say("darn, before");
  await bob.shows(["darn, before"]);
  await install(example, "profanity");
  // It is in place soon: until then the words come as they were written.
  let said = 0;
  await ann.eventually(async () => {
    await ann.say(`darn ${++said}`);
    await bob.page.locator("#messages .bubble", { hasText: new RegExp(` ${said}$`) }).waitFor();
    assert.deepEqual((await bob.texts()).at(-1), `**** ${said}`);
  });
  assert.deepEqual((await ann.texts()).at(-1), `**** ${said}`);
  await bob.say("a clean word");
  await ann.edit(`**** ${said}`, "heck of an edit");
  await bob.page.locator("#messages .bubble", { hasText: /^\*{4} of an edit$/ }).waitFor();
  const texts = await bob.texts();
  await bob.page.reload();
  // How much was said until the plugin was in place depends on the machine: it may be more than one page of history.
  await bob.eventually(async () => assert.deepEqual((await bob.texts()).slice(-3), texts.slice(-3)));
});

test("what a plugin refuses says why, and can be sent again where that may help", { skip: !process.env.E2E_BIN && "the server is not ours" }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "heddle-e2e-plugin-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const project = join(folder, "refuser");
  await heddle("new", "--lang", "go", project);
  await writeFile(join(project, "main.go"), REFUSER);
  const manifest = await readFile(join(project, "heddle-plugin.yaml"), "utf8");
  await writeFile(join(project, "heddle-plugin.yaml"), manifest.replace("mode: stateless", "mode: keyed_room"));
  await rm(join(project, "fixtures"), { recursive: true, force: true }); // they are of what it was
  await install(project, "refuser");
  const { ann, bob } = await annAndBob(t);
  const refused = ann.page.locator("#messages .failed");
  const meta = (text) => ann.message(text).locator(".meta");
  const press = (text, name) => ann.message(text).getByRole("button", { name, exact: true }).click();

  // For good: there is no use in sending it again, but its words are not lost.
  let said = 0;
  await ann.eventually(async () => { // the plugin is in place soon
    await ann.say(`never ${++said}`);
    await ann.page.waitForFunction((text) => [...document.querySelectorAll("#messages .msg:not(.sending) .bubble")].some((b) => b.textContent === text), `never ${said}`);
    assert.equal(await refused.count(), 1);
  });
  const never = `never ${said}`;
  await meta(never).filter({ hasText: "not sent: not that word" }).waitFor();
  assert.equal(await meta(never).getByRole("button", { name: "Send again" }).count(), 0);
  await press(never, "Change");
  const box = ann.page.getByRole("textbox", { name: "Message" });
  assert.equal(await box.inputValue(), never);
  assert.equal(await refused.count(), 0);
  await ann.say("fine");
  await bob.message("fine").waitFor();

  // For now.
  await ann.say("slow one");
  await meta("slow one").filter({ hasText: "not sent: slow mode: one message in 30 s" }).waitFor();
  await ann.say("another");
  await bob.message("another").waitFor();
  await press("slow one", "Send again");
  await bob.message("slow one").waitFor();
  await ann.say("never mind");
  await meta("never mind").filter({ hasText: "not that word" }).waitFor();
  await press("never mind", "Discard");
  assert.equal(await ann.message("never mind").count(), 0);

  // Edits likewise.
  await ann.edit("fine", "never fine");
  await meta("fine").filter({ hasText: "not changed: not that word" }).waitFor();
  assert.equal(await meta("fine").getByRole("button", { name: "Try again" }).count(), 0);
  await press("fine", "OK");
  await ann.edit("fine", "slow and fine");
  await meta("fine").filter({ hasText: "not changed: slow mode" }).waitFor();
  await press("fine", "Try again");
  await bob.message("slow and fine").waitFor();
  const texts = (await bob.texts()).filter((text) => !/^never \d/.test(text));
  assert.deepEqual(texts, ["slow and fine", "another", "slow one"]);
  assert.equal(await ann.page.locator(".sending, .failed").count(), 0);
});
