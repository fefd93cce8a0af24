// Slow mode: who sends to a room waits until they may send to it again.
import { Bytes, json, kv, on, start } from "@heddle-rt/plugin";
export * from "@heddle-rt/plugin/exports";

let gap: i64 = 5000; // milliseconds

start((config) => {
  gap = json.int(Bytes.of(config), "gap_ms", gap);
});

on("message:send", (event) => {
  const key = "last:" + event.room + ":" + event.user;
  const last = kv.get(key);
  const left = last.ok ? i64.parse(last.text) + gap - event.time : 0;
  if (left > 0) event.rateLimit("slow mode is on", left);
  else kv.put(key, event.time.toString(), gap);
});
