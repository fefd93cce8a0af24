// A browser with one window a user, and what a person does in the demo page.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const WAIT_MS = 60_000; // bounds every wait

/** CHROMIUM is the browser's path, by default Debian's. */
export const launch = () => chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ],
});

export class Person {
  constructor(page, name) {
    Object.assign(this, { page, name });
  }

  /** Opens a window of its own and signs in by the form. `before` runs in the page before its own script. */
  static async signIn(browser, url, name, before) {
    const context = await browser.newContext();
    const page = await context.newPage();
    if (before) await page.addInitScript(before);
    page.setDefaultTimeout(WAIT_MS);
    const person = new Person(page, name);
    person.complaints = [];
    page.on("pageerror", (error) => person.complaints.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error" && /Content Security Policy/.test(message.text())) person.complaints.push(message.text());
    });
    await page.goto(url);
    await page.getByLabel("Your name").fill(name);
    await page.getByRole("button", { name: "Sign in" }).click();
    await person.inState("active");
    return person;
  }

  inState(state) {
    return this.page.waitForSelector(`body[data-state="${state}"]`);
  }

  async create(room, ...members) {
    await this.page.getByLabel("Room name").fill(room);
    await this.page.getByLabel("Invite, separated by commas").fill(members.join(", "));
    await this.page.getByRole("button", { name: "Create", exact: true }).click();
    await this.page.getByRole("heading", { name: room, exact: true }).waitFor();
  }

  /** Whether the server knows presence, as the page has learned. */
  async knowsPresence() {
    await this.page.waitForSelector("body[data-presence]");
    return this.page.evaluate(() => document.body.dataset.presence === "true");
  }

  async join(room) {
    await this.page.getByLabel("Room name").fill(room);
    await this.page.getByRole("button", { name: "Join", exact: true }).click();
    await this.page.getByRole("heading", { name: room, exact: true }).waitFor();
  }

  async open(room) {
    await this.page.locator(`#rooms button[data-room="conv:${room}"]`).click();
    await this.page.getByRole("heading", { name: room, exact: true }).waitFor();
  }

  async say(text) {
    const box = this.page.getByRole("textbox", { name: "Message" });
    await box.fill(text);
    await box.press("Enter");
  }

  /** The line of the message with exactly this text. */
  message(text) {
    const exactly = new RegExp(`^${text.replace(/[^\w\s]/g, "\\$&")}$`);
    return this.page.locator("#messages .msg").filter({ has: this.page.locator(".bubble", { hasText: exactly }) });
  }

  /** Does something that stands beside a message. */
  async act(text, name) {
    const message = this.message(text);
    await message.hover();
    await message.getByRole("button", { name, exact: true }).click();
  }

  async edit(text, now) {
    await this.act(text, "Edit");
    const box = this.page.getByRole("textbox", { name: "Message" });
    await box.fill(now);
    await box.press("Enter");
  }

  async delete(text, whom) {
    await this.act(text, whom === "me" ? /^(Delete|Hide)$/ : "Delete");
    await this.page.getByRole("button", { name: whom === "me" ? "For me" : "For everybody" }).click();
  }

  async invite(...users) {
    await this.page.getByRole("button", { name: "Invite", exact: true }).click();
    await this.page.getByLabel("Names, separated by commas").fill(users.join(", "));
    await this.page.getByRole("button", { name: "Add", exact: true }).click();
  }

  /** Waits until a message has exactly these reactions, such as "👍 2". */
  async reactions(text, ...want) {
    const chips = this.message(text).locator(".reactions button");
    await this.eventually(async () => assert.deepEqual(await chips.allTextContents(), want, `reactions that ${this.name} sees`));
  }

  /** Waits until the list of rooms says how many messages of a room are unread. */
  async unread(room, want) {
    const badge = this.page.locator(`#rooms button[data-room="conv:${room}"] .unread`);
    await this.eventually(async () => assert.equal((await badge.allTextContents()).join(""), want ? `${want} unread` : "", `unread that ${this.name} sees`));
  }

  /** Repeats a check until it holds, or tells how it failed last. */
  async eventually(check) {
    for (const deadline = Date.now() + WAIT_MS; ; ) {
      try {
        return await check();
      } catch (error) {
        if (Date.now() > deadline) throw error;
      }
      await new Promise((done) => setTimeout(done, 15)); // not a frame of the page: there is none while it is hidden
    }
  }

  /** The texts that the open room shows, from top to bottom. */
  texts() {
    return this.page.locator("#messages .bubble").allTextContents();
  }

  /** Waits until the open room shows exactly these texts, and nothing waits to be stored. */
  async shows(want) {
    const same = (list) => {
      const got = [...document.querySelectorAll("#messages .bubble")].map((node) => node.textContent);
      return got.length === list.length && got.every((text, i) => text === list[i]) && !document.querySelector(".sending, .failed");
    };
    await this.page.waitForFunction(same, want).catch(() => {});
    assert.deepEqual(await this.texts(), want, `what ${this.name} sees`);
    assert.equal(await this.page.locator(".sending, .failed").count(), 0, `${this.name} has messages that are not stored`);
  }

  cut() {
    return this.page.getByRole("button", { name: "Cut the network" }).click();
  }

  stayOffline(on) {
    return this.page.getByLabel("Stay offline").setChecked(on);
  }

  async notice(pattern) {
    await this.page.locator("#log li", { hasText: pattern }).first().waitFor();
  }
}
