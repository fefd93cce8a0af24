// A second implementation: the client of python-socketio, in python/chat.py. E2E_PYTHON is a Python that has
// it; the one of `make e2e-socketio` unless given.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Heddle } from "./node.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const python = process.env.E2E_PYTHON ?? here(".venv/bin/python");
const required = (process.env.E2E_REQUIRE ?? "").split(",").includes("python");
const missing = spawnSync(python, ["-c", "import socketio, requests, websocket"]).status !== 0;
const skip = missing && !required ? `${python} has no python-socketio[client]` : false;

let node;
before(async () => {
  if (!skip) node = await Heddle.dev({ set: ["socketio.namespaces=[/shop]"] });
});
after(() => node?.stop());

for (const transports of ["polling,websocket", "polling", "websocket"]) {
  test(`python-socketio's people talk over ${transports}`, { skip }, async (t) => {
    const child = spawn(python, [here("python/chat.py"), node.url, transports], { stdio: ["ignore", "pipe", "pipe"] });
    t.after(() => child.kill("SIGKILL"));
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (said += text));
    const [code] = await once(child, "close");
    assert.equal(code, 0, said);
  });
}
