export interface NetworkHandlers {
  /** The browser says that the network is back. */
  online(): void;
  /** The browser says that there is no network. */
  offline(): void;
  /** The browser has gone from one kind of network to another. */
  changed(): void;
  /** The page is looked at again; timers may have slept and connections died. */
  visible(): void;
}

// Of the Network Information API, which not all browsers have, and not all of it.
type Information = EventTarget & { type?: string };

/** Whether nobody looks at the page. */
export const hidden = (): boolean => typeof document !== "undefined" && document.visibilityState === "hidden";

/** Listens to what the browser knows of the network; elsewhere it does nothing. Returns the way to stop. */
export function watchNetwork(handlers: NetworkHandlers): () => void {
  const target: Partial<EventTarget> = globalThis as unknown as Partial<EventTarget>;
  if (typeof document === "undefined" || !target.addEventListener) return () => {};
  const network = (globalThis.navigator as { connection?: Information } | undefined)?.connection;
  let type = network?.type;
  const all: [Partial<EventTarget> | undefined, string, () => void][] = [
    [target, "online", () => handlers.online()],
    [target, "offline", () => handlers.offline()],
    // A page that was left and is come back to, as it was.
    [target, "pageshow", () => handlers.visible()],
    [document, "visibilitychange", () => void (hidden() || handlers.visible())],
    [network, "change", () => {
      if (type !== (type = network?.type)) handlers.changed(); // else only its speed is thought to be another
    }],
  ];
  for (const [of, name, listener] of all) of?.addEventListener?.(name, listener);
  return () => {
    for (const [of, name, listener] of all) of?.removeEventListener?.(name, listener);
  };
}
