// The README's programs run, each to its end.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import * as packed from "./.out/msgpack.js";
import { FakeServer } from "./fake/server.mjs";

const here = import.meta.dirname;
const readme = await readFile(join(here, "../README.md"), "utf8");
const programs = [...readme.matchAll(/```js\n([\s\S]*?)```/g)].map((match) => match[1]);
const want = ["conv:42 #2 the server: Lunch is at noon.\nconv:42 #3 ann: Are you hungry?\n", "nothing -> websocket\n", "1 false ann\nforbidden room false\n", "",
  "hello 1 [Object: null prototype] {\n  '👍': { count: 1, users: [ 'ann' ], me: true }\n}\n0 [ 'ann' ] offline\n"];

test("there are programs", () => assert.equal(programs.length, want.length));

for (const [i, program] of programs.entries()) {
  test(`program ${i + 1}`, async (t) => {
    const server = await new FakeServer().listen();
    server.packed = packed;
    server.intercept = (e) => {
      if (e.payload.action === "message:send" && e.room === "conv:42") server.say(e.room, "Lunch is at noon.");
    };
    const folder = await mkdtemp(join(here, ".out/readme-"));
    t.after(async () => {
      await server.close();
      await rm(folder, { recursive: true });
    });
    const file = join(folder, "program.mjs");
    const source = program
      .replace('"@heddle-rt/client"', '"../index.js"')
      .replace(/"@heddle-rt\/client\/(\w+)"/g, '"../$1.js"')
      .replace("wss://chat.example.com/v1/ws", server.url)
      .replace('fetch("/token")', 'new Response("dev-ann")');
    await writeFile(file, `import WebSocket from "ws";\nglobalThis.WebSocket ??= WebSocket;\n${source}`);
    const child = spawn(process.execPath, [file], { stdio: ["ignore", "pipe", "inherit"], timeout: 50_000 });
    let out = "";
    child.stdout.on("data", (chunk) => (out += chunk));
    const [code] = await once(child, "close");
    assert.equal(code, 0);
    assert.equal(out, want[i]);
  });
}
