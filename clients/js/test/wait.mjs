// What tests wait for.

/** Resolves with the next event of a name that fits. */
export const next = (client, name, fits = () => true) =>
  new Promise((resolve) => {
    const off = client.on(name, (value) => {
      if (!fits(value)) return;
      off();
      resolve(value);
    });
  });

/** Connects, and resolves when the session is open. */
export const connected = (client) => {
  const ready = next(client, "ready");
  client.connect();
  return ready;
};
