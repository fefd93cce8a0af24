// A browser with one window a user, and what a person does in the demo page.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const WAIT_MS = 20_000;

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

  /** Opens a window of its own and signs in by the form. */
  static async signIn(browser, url, name, options = {}) {
    const context = await browser.newContext(options);
    const page = await context.newPage();
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
    await this.page.getByLabel("Invite").fill(members.join(", "));
    await this.page.getByRole("button", { name: "Create", exact: true }).click();
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
