// The package as it is published: what TypeScript makes of it in somebody else's project, and that it loads.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

const run = promisify(execFile);
const here = join(import.meta.dirname, "..");
const tsc = join(here, "node_modules/.bin/tsc");

const program = `
import { Client, HeddleError, type ClientOptions } from "@heddle-rt/client";
import { Timeline, Unread } from "@heddle-rt/client/chat";
import { msgpack } from "@heddle-rt/client/msgpack";

const options: ClientOptions = { url: "wss://x/v1/ws", token: "t", codec: msgpack, transports: ["polling", "websocket"], queueExpiry: 60_000 };
const client = new Client<{ "game:move": { x: number } }>(options);
new Unread(client);
new Timeline("conv:1", "ann");
client.on("message:send", ({ payload, room }) => payload.data.text?.toUpperCase() ?? room);
client.on("game:move", ({ payload }) => payload.data.x.toFixed());
client.on("other:thing", ({ payload }) => (payload.data as string).length);
client.on("transport", ({ transport, previous }) => transport === "polling" || previous === "websocket");
client.on("error", (error) => error instanceof HeddleError && error.code === "queue_expired");
const version: Promise<number | undefined> = client.edit("conv:1", 1, 0, { text: "x" }).then((ack) => ack.data.version);
void version;
// @ts-expect-error: there is no such event
client.on("mesage", () => {});
// @ts-expect-error: a text is no number
client.on("message:send", ({ payload }) => payload.data.text satisfies number);
// @ts-expect-error: a move has no y
client.on("game:move", ({ payload }) => payload.data.y);
// @ts-expect-error: no such transport
new Client({ url: "", transports: ["smoke"] });
`;

test("a project of somebody else's", async (t) => {
  const folder = await mkdtemp(join(import.meta.dirname, ".out/types-"));
  t.after(() => rm(folder, { recursive: true }));
  const at = join(folder, "node_modules/@heddle-rt/client");
  await mkdir(at, { recursive: true });
  for (const name of ["package.json", "dist"]) await cp(join(here, name), join(at, name), { recursive: true });
  await run(tsc, ["-p", join(here, "tsconfig.types.json"), "--outDir", join(at, "dist/types")]);
  await writeFile(join(folder, "package.json"), '{"type":"module"}');
  await writeFile(join(folder, "program.ts"), program);
  for (const [module, resolution] of [["nodenext", "nodenext"], ["esnext", "bundler"]]) {
    const args = ["--ignoreConfig", "--strict", "--exactOptionalPropertyTypes", "--noEmit", "--target", "es2022", "--module", module, "--moduleResolution", resolution, "--types", "", "program.ts"];
    const { stdout } = await run(tsc, args, { cwd: folder }).catch((error) => error);
    assert.equal(stdout, "", `${module}, ${resolution}`);
  }
  await writeFile(join(folder, "load.mjs"), `
    import { Client, HeddleError } from "@heddle-rt/client";
    import { Presence } from "@heddle-rt/client/chat";
    import { encode, decode } from "@heddle-rt/client/msgpack";
    console.log(typeof Client, typeof HeddleError, typeof Presence, decode(encode({ a: 1 })).a);`);
  assert.equal((await run(process.execPath, [join(folder, "load.mjs")])).stdout, "function function function 1\n");
});
