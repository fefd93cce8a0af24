/** The element of the page with this id; the page and the script belong together. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found as T;
}

/** Makes an element; strings become text, never markup. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K, className: string, ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

export function clockTime(ms: number, seconds = false): string {
  return new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", ...(seconds && { second: "2-digit" }) });
}

/** Runs `work` once at the end of the tick, however often it is asked for. */
export function coalesce(work: () => void): () => void {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    queueMicrotask(() => {
      asked = false;
      work();
    });
  };
}

/** A child of a KeyedList; it is made anew when its signature is another one. */
export interface Row {
  key: string;
  signature: string;
  make: () => HTMLElement;
}

/**
 * Brings the children of a list in line, and leaves those alone that did not
 * change. The focus stays on the button with the same data-act.
 */
export class KeyedList {
  readonly #list: HTMLElement;
  #known = new Map<string, { signature: string; node: HTMLElement }>();

  constructor(list: HTMLElement) {
    this.#list = list;
  }

  show(rows: Row[]): void {
    const before = this.#known;
    const focused = document.activeElement as HTMLElement | null;
    this.#known = new Map();
    let focus: HTMLElement | null | undefined;
    let at = this.#list.firstElementChild;
    for (const { key, signature, make } of rows) {
      const old = before.get(key);
      const node = old?.signature === signature ? old.node : make();
      if (old && node !== old.node && focused?.dataset.act && old.node.contains(focused)) {
        const { act } = focused.dataset;
        focus = [...node.querySelectorAll<HTMLElement>("[data-act]")].find((button) => button.dataset.act === act);
      }
      this.#known.set(key, { signature, node });
      if (at === node) at = at.nextElementSibling;
      else this.#list.insertBefore(node, at);
    }
    while (at) {
      const next = at.nextElementSibling;
      at.remove();
      at = next;
    }
    focus?.focus({ preventScroll: true });
  }
}
