import type { MessageEntry, Typing } from "../../../clients/js/src/chat.ts";
import { byId } from "./dom.ts";
import type { Room } from "./model.ts";

export interface ComposerDeps {
  typing: Typing;
  send(room: Room, text: string): void;
  edit(room: Room, message: MessageEntry, text: string): void;
  /** The newest message that the user may edit. */
  newest(): MessageEntry | undefined;
}

/** The field in which messages are written and changed; it says that the user is typing. */
export class Composer {
  readonly #deps: ComposerDeps;
  readonly #text = byId<HTMLTextAreaElement>("text");
  #room: Room | undefined;
  #editing: MessageEntry | undefined;
  #draft = "";

  constructor(deps: ComposerDeps) {
    this.#deps = deps;
    byId("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#text.addEventListener("input", () => {
      if (!this.#room || this.#editing) return;
      if (this.#text.value) deps.typing.input(this.#room.id);
      else deps.typing.stop();
    });
    this.#text.addEventListener("keydown", (event) => this.#key(event));
    byId("edit-cancel").addEventListener("click", () => this.#edit(undefined));
  }

  show(room: Room | undefined): void {
    if (room !== this.#room) {
      this.#deps.typing.stop();
      if (this.#editing) this.#edit(undefined);
    }
    this.#room = room;
    byId("composer").hidden = !room;
    if (room && matchMedia("(pointer: fine)").matches) this.#text.focus();
  }

  /** Puts a message into the field, to be changed there. */
  change(message: MessageEntry): void {
    this.#edit(message);
    this.#text.focus();
  }

  /** Puts a text into the field, behind what is in there. */
  write(text: string): void {
    if (this.#editing) this.#edit(undefined);
    this.#text.value = this.#text.value ? `${this.#text.value}\n${text}` : text;
    this.#text.focus();
  }

  #edit(message: MessageEntry | undefined): void {
    if (!this.#editing) this.#draft = this.#text.value;
    this.#editing = message;
    this.#text.value = message ? (message.content.text ?? "") : this.#draft;
    byId("editing").hidden = !message;
    byId("send").textContent = message ? "Save" : "Send";
    this.#deps.typing.stop();
  }

  #key(event: KeyboardEvent): void {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.#submit();
    } else if (event.key === "Escape" && this.#editing) {
      this.#edit(undefined);
    } else if (event.key === "ArrowUp" && this.#text.value === "" && !this.#editing) {
      const last = this.#deps.newest();
      if (!last) return;
      event.preventDefault();
      this.change(last);
    }
  }

  #submit(): void {
    const text = this.#text.value.trim();
    const message = this.#editing;
    this.#deps.typing.stop();
    if (message) this.#edit(undefined);
    else this.#text.value = "";
    if (this.#room && text) {
      if (!message) this.#deps.send(this.#room, text);
      else if (text !== message.content.text) this.#deps.edit(this.#room, message, text);
    }
    this.#text.focus();
  }
}
