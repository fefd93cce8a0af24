export interface NetworkHandlers {
  /** The browser says that the network is back. */
  online(): void;
  /** The browser says that there is no network. */
  offline(): void;
  /** The page is looked at again; timers may have slept and connections died. */
  visible(): void;
}

/** Listens to what the browser knows of the network; elsewhere it does nothing. Returns the way to stop. */
export function watchNetwork(handlers: NetworkHandlers): () => void {
  const target: Partial<EventTarget> = globalThis as unknown as Partial<EventTarget>;
  if (typeof document === "undefined" || !target.addEventListener) return () => {};
  const { online, offline } = handlers;
  const visibility = (): void => {
    if (document.visibilityState === "visible") handlers.visible();
  };
  globalThis.addEventListener("online", online);
  globalThis.addEventListener("offline", offline);
  document.addEventListener("visibilitychange", visibility);
  return () => {
    globalThis.removeEventListener("online", online);
    globalThis.removeEventListener("offline", offline);
    document.removeEventListener("visibilitychange", visibility);
  };
}
