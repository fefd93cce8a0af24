// nginx and haproxy with the files in configs/, in front of two real nodes that share nothing but the key of
// their tokens.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import WebSocket from "ws";
import { eventually, Heddle, wait } from "./node.mjs";
import { NativeSocket, Person, Poller, talk, together, transports } from "./people.mjs";
import { missing, names, Proxy } from "./proxies.mjs";
import { Line, Polling } from "./raw.mjs";

const options = { secret: "0123456789abcdef".repeat(4), set: ["socket.proxies.trusted=[127.0.0.1]"] };

for (const name of names) {
  describe(name, { skip: missing(name) ?? false }, () => {
    let nodes;
    let proxy;
    const token = (user) => nodes.find((n) => n.running).token(user);
    before(async () => {
      nodes = await Promise.all(["heddle-1", "heddle-2"].map((n) => Heddle.dev({ name: n, ...options })));
      proxy = await Proxy.start(name, nodes);
    });
    after(async () => {
      await proxy?.stop();
      await Promise.all(nodes?.map((n) => n.stop()) ?? []);
    });

    const person = (t, user, transport, at = proxy) => new Person(t, at.url, { user, token, transports: transports[transport] });
    /** One of each kind of Socket.IO's clients. */
    const crowd = (t, at) => Promise.all(Object.keys(transports).map((k, i) => person(t, `user${i}`, k, at).connected()));
    const nodeOf = (p) => p.heard.findLast((e) => /^session:(open|resume)$/.test(e.action)).data.node;

    test("chat over all that there is", async (t) => {
      const people = await crowd(t);
      people.push(await NativeSocket.connect(t, proxy.url, { user: "nat", token }), await Poller.connect(t, proxy.url, { user: "pol", token }));
      const room = await together(people);
      await talk(people, room);
      await people[0].upgraded();
      await talk(people, room, 15);
      const large = "x".repeat(8_000);
      const body = { bytes: Buffer.alloc(20_000, 1) };
      await people[1].say(room, large, { body });
      for (const p of people) await p.hears(room, 101);
      for (const p of people.slice(0, 3)) {
        assert.deepEqual(p.messages(room).at(-1).data, { text: large, body });
        assert.deepEqual([p.recovered, p.gone, p.refused], [[false], [], []]);
      }
      assert.deepEqual(people.slice(0, 3).map((p) => p.transport), ["websocket", "polling", "websocket"]);
      assert.ok(people[0].socket.connected);
    });

    test("polls and upgrades find the node that has the connection", async (t) => {
      for (const node of nodes) {
        const p = new Polling(node.url, "/socket.io/");
        await p.open();
        assert.ok(p.sid.startsWith(`${node.name}.`), p.sid);
        p.base = proxy.url;
        assert.equal((await p.post("40{}")).status, 200);
        assert.match((await p.said(1))[0], /^44/);
        const line = await Line.open(proxy.url, "/socket.io/", { EIO: "4", transport: "websocket", sid: p.sid });
        t.after(() => line.ws.terminate());
        line.send("2probe");
        assert.equal(await line.next(), "3probe");
        const native = new Polling(node.url, "/v1/poll/");
        await native.open();
        native.base = proxy.url;
        assert.equal((await native.post("4rubbish")).status, 200);
        assert.match((await native.said(1))[0], /malformed/);
      }
    });

    test("a poll that lands on the wrong node is told so", async (t) => {
      const forgetful = await Proxy.start(name, nodes, ["forgetful"]);
      t.after(() => forgetful.stop());
      const p = new Polling(nodes[1].url, "/socket.io/");
      await p.open();
      for (const base of [forgetful.url, nodes[0].url]) {
        p.base = base;
        for (const answer of [await p.get(), await p.post("40")]) {
          const { code, message } = await answer.json();
          assert.deepEqual([answer.status, code], [400, 1]);
          assert.match(message, /heddle-2/);
        }
      }
      p.base = proxy.url;
      assert.equal((await p.post("40")).status, 200);

      const native = new Polling(nodes[1].url, "/v1/poll/");
      await native.open();
      native.base = forgetful.url;
      const answer = await native.get();
      assert.equal(answer.status, 400);
      assert.match((await answer.json()).message, /heddle-2/);
    });

    test("pages of the same host may connect, and others not", async () => {
      const ask = (origin) => fetch(new Polling(proxy.url, "/socket.io/").url(), { headers: { origin } });
      const same = await ask(proxy.url);
      assert.deepEqual([same.status, same.headers.get("access-control-allow-origin")], [200, proxy.url]);
      assert.equal((await ask("https://elsewhere.example")).status, 403);
    });

    test("where WebSockets are blocked, polling goes on", async (t) => {
      const blocked = await Proxy.start(name, nodes, ["blocked"]);
      t.after(() => blocked.stop());
      const people = [person(t, "ann", "polling, then WebSocket", blocked), person(t, "bob", "polling alone", blocked)];
      let probes = 0;
      people[0].socket.io.engine.on("upgradeError", () => probes++);
      await Promise.all(people.map((p) => p.connected()));
      const room = await together(people);
      await talk(people, room);
      await eventually(() => probes > 0);
      await talk(people, room);
      for (const p of people) assert.deepEqual([p.transport, p.recovered, p.gone], ["polling", [false], []]);
      const stubborn = person(t, "cid", "WebSocket alone", blocked);
      await eventually(() => stubborn.refused.length > 1);
      assert.deepEqual(stubborn.recovered, []);
      const ws = new WebSocket(`${blocked.url.replace("http", "ws")}/v1/ws`);
      assert.ok((await new Promise((done) => ws.on("error", done))) instanceof Error);
    });

    test("drops through the balancer are recovered", async (t) => {
      const people = await crowd(t);
      const room = await together(people);
      for (const p of people) p.drop();
      await Promise.all(people.map((p) => p.connected(2)));
      await talk(people, room);
      for (const p of people) assert.deepEqual(p.recovered, [false, true]);
    });

    test("who says nothing for long stays connected", async (t) => {
      // Everything twenty times as fast as in the files: heartbeats of 25 s, timeouts of 60 s.
      const fast = await Promise.all(nodes.map((n) => Heddle.dev({ name: n.name, ...options, set: [...options.set, "engineio.ping_interval=1250ms", "socket.heartbeat.interval=1250ms"] })));
      t.after(() => Promise.all(fast.map((n) => n.stop())));
      const quick = await Proxy.start(name, fast, [[" 60s", " 3s"]]);
      t.after(() => quick.stop());
      const people = await crowd(t, quick);
      const native = [await NativeSocket.connect(t, quick.url, { user: "nat", token }), await Poller.connect(t, quick.url, { user: "pol", token })];
      const room = await together([...people, ...native]);
      await wait(7_500); // more than two of the timeouts
      await talk([...people, ...native], room);
      for (const p of people) assert.deepEqual([p.recovered, p.gone], [[false], []]);
    });

    // The last one: it leaves the nodes in another state.
    test("a node is killed, drained, and comes again", async (t) => {
      const people = await crowd(t);
      const native = [await NativeSocket.connect(t, proxy.url, { user: "nat", token }), await Poller.connect(t, proxy.url, { user: "pol", token })];
      assert.deepEqual(people.map(nodeOf), ["heddle-1", "heddle-1", "heddle-1"]);
      const first = await together(people);
      await talk(people, first);

      await nodes[0].kill();
      await Promise.all(people.map((p) => p.connected(2)));
      await eventually(() => native.every((n) => n.closed));
      assert.deepEqual(people.map(nodeOf), ["heddle-2", "heddle-2", "heddle-2"]);
      for (const p of people) assert.deepEqual(p.recovered, [false, false]);
      native.push(await NativeSocket.connect(t, proxy.url, { user: "nat", token }), await Poller.connect(t, proxy.url, { user: "pol", token }));
      const everybody = [...people, ...native.slice(2)];
      const second = await together(everybody);
      await talk(everybody, second);

      // The first one is back: whoever comes gets there, and who polls the second goes on to.
      await nodes[0].up();
      await eventually(async () => {
        const p = new Polling(proxy.url, "/socket.io/");
        return (await p.open()).sid.startsWith("heddle-1.");
      });
      await talk(everybody, second);
      for (const p of people) assert.equal(p.recovered.length, 2);

      await nodes[1].drain();
      await Promise.all(people.map((p) => p.connected(3)));
      assert.deepEqual(people.map(nodeOf), ["heddle-1", "heddle-1", "heddle-1"]);
      assert.deepEqual(people.map((p) => p.recovered.at(-1)), [false, false, false]);
      await talk(people, first);
    });
  });
}
