// What a plugin does to messages is what people see.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { annAndBob, server } from "./people.mjs";

const example = fileURLToPath(new URL("../examples/plugins/profanity", import.meta.url));

test("a plugin that is put into a node that runs masks what is said from then on", { skip: !process.env.E2E_BIN && "the server is not ours" }, async (t) => {
  const { ann, bob } = await annAndBob(t);
  await ann.say("darn, before");
  await bob.shows(["darn, before"]);
  const folder = join(server.data, "plugins", "dev");
  await mkdir(folder, { recursive: true });
  await promisify(execFile)(process.env.E2E_BIN, ["plugin", "build", example, "-o", join(folder, "profanity.zip")]);
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
  await bob.shows(texts);
});
