import type { Client, Quality, State } from "../../../clients/js/src/index.ts";
import { byId, clockTime, el } from "./dom.ts";

const LOG_LINES = 40;
const PING_MS = 5000;
const BANNER_MS = 8000;
const COUNT_MS = 250;

const words: Record<State, string> = {
  idle: "not connected", connecting: "connecting …", syncing: "opening the session …", active: "connected",
  draining: "connected, the node is leaving", waiting: "offline", closed: "closed",
};

/** Shows the state of the connection and what happened to it, and holds the switches that break it. */
export class ConnectionView {
  readonly #client: Client;
  #bannerTimer: ReturnType<typeof setTimeout> | undefined;
  #countdown: ReturnType<typeof setInterval> | undefined;
  #last = ""; // line of the log, and how often it came
  #times = 0;

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
    client.on("error", ({ code, message }) =>
      code === "token_failed" ? this.log("the server does not answer") : this.log(`${code}: ${message}`, true));
    client.on("quality", (quality) => this.#quality(quality));
    this.#switches();
    setInterval(() => void this.#ping(), PING_MS);
  }

  log(text: string, strong = false): void {
    const list = byId("log");
    this.#times = text === this.#last ? this.#times + 1 : 1;
    if (this.#times > 1) list.lastElementChild?.remove();
    this.#last = text;
    list.append(el("li", strong ? "strong" : "", el("time", "", clockTime(Date.now(), true)), this.#times > 1 ? `${text} (${this.#times} times)` : text));
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
    byId("try").addEventListener("click", () => this.#client.goOnline());
    const offline = byId<HTMLInputElement>("offline");
    offline.checked = false;
    offline.addEventListener("change", () => (offline.checked ? this.#client.goOffline() : this.#client.goOnline()));
  }

  #state(state: State, retryInMs: number | undefined): void {
    clearInterval(this.#countdown);
    const waits = state === "waiting" && retryInMs !== undefined;
    byId("try").hidden = !waits;
    byId("mini-state").textContent = waits ? "connection lost" : words[state];
    if (waits) this.#count(Date.now() + retryInMs);
    else byId("state").textContent = words[state];
    const tone = state === "active" ? "good" : state === "closed" || state === "waiting" ? "bad" : "";
    byId("dot").className = byId("mini-dot").className = `dot ${tone}`;
    document.body.dataset.state = state;
    byId<HTMLButtonElement>("cut").disabled = state !== "active" && state !== "draining";
    if (state !== "active") byId("rtt").textContent = "–";
  }

  #count(until: number): void {
    const show = (): void => {
      byId("state").textContent = `lost, next try in ${Math.max(0, Math.ceil((until - Date.now()) / 1000))} s`;
    };
    show();
    this.#countdown = setInterval(show, COUNT_MS);
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
