import type { Client, Quality, State } from "../../../clients/js/src/index.ts";
import { byId, clockTime, el } from "./dom.ts";

const LOG_LINES = 40;
const PING_MS = 5000;
const BANNER_MS = 8000;

const words: Record<State, string> = {
  idle: "not connected", connecting: "connecting …", syncing: "opening the session …", active: "connected",
  draining: "connected, the node is leaving", waiting: "offline", closed: "closed",
};

/** Shows the state of the connection and what happened to it, and holds the switches that break it. */
export class ConnectionView {
  readonly #client: Client;
  #bannerTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(client: Client) {
    this.#client = client;
    client.on("state", ({ state, retryInMs }) => this.#state(state, retryInMs));
    client.on("close", ({ code, reason, action }) =>
      this.log(`connection ended (${code}${reason ? `, ${reason}` : ""})${action === "stop" ? "" : ", will be back"}`));
    client.on("ready", (info) => {
      this.#node(info.node);
      this.log(info.reason ? `new session, the old one could not go on: ${info.reason}` : "session open", true);
      void this.#ping();
    });
    client.on("resumed", (info) => {
      this.#node(info.node);
      const text = `resumed, ${info.missed} missed ${info.missed === 1 ? "message" : "messages"}`;
      this.log(text, true);
      this.banner(text);
      void this.#ping();
    });
    client.on("lost", ({ room, reason }) => this.log(`${room}: messages are missing (${reason})`, true));
    client.on("error", (error) => this.log(`${error.code}: ${error.message}`, true));
    client.on("quality", (quality) => this.#quality(quality));
    this.#switches();
    setInterval(() => void this.#ping(), PING_MS);
  }

  log(text: string, strong = false): void {
    const list = byId("log");
    list.append(el("li", strong ? "strong" : "", el("time", "", clockTime(Date.now(), true)), text));
    while (list.childElementCount > LOG_LINES) list.firstElementChild?.remove();
    list.scrollTop = list.scrollHeight;
  }

  banner(text: string): void {
    const banner = byId("banner");
    banner.textContent = text;
    banner.hidden = false;
    clearTimeout(this.#bannerTimer);
    this.#bannerTimer = setTimeout(() => (banner.hidden = true), BANNER_MS);
  }

  #switches(): void {
    byId("cut").addEventListener("click", () => this.#client.drop());
    const offline = byId<HTMLInputElement>("offline");
    offline.checked = false;
    offline.addEventListener("change", () => (offline.checked ? this.#client.goOffline() : this.#client.goOnline()));
  }

  #state(state: State, retryInMs: number | undefined): void {
    let text = words[state];
    if (state === "waiting" && retryInMs !== undefined) text = `lost, next try in ${(retryInMs / 1000).toFixed(1)} s`;
    byId("state").textContent = text;
    byId("mini-state").textContent = text;
    const tone = state === "active" ? "good" : state === "closed" || state === "waiting" ? "bad" : "";
    byId("dot").className = byId("mini-dot").className = `dot ${tone}`;
    document.body.dataset.state = state;
    byId<HTMLButtonElement>("cut").disabled = state !== "active" && state !== "draining";
    if (state !== "active") byId("rtt").textContent = "–";
  }

  #quality({ grade, rtt_ms, jitter_ms }: Quality): void {
    byId("quality").textContent = grade;
    byId("quality").title = `as the server sees it: ${rtt_ms} ms, jitter ${jitter_ms} ms`;
  }

  #node(node: string | undefined): void {
    byId("node").textContent = node ?? "–";
  }

  async #ping(): Promise<void> {
    if (this.#client.state !== "active") return;
    try {
      const rtt = await this.#client.ping();
      byId("rtt").textContent = `${rtt < 10 ? rtt.toFixed(1) : Math.round(rtt)} ms`;
    } catch {
      // The state tells it.
    }
  }
}
