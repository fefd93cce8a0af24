const ALPHABET = "0123456789abcdefghijklmnopqrstuv";

/** A request id: 20 characters, 100 random bits; unguessable and unique without coordination. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(20));
  let id = "";
  for (const b of bytes) id += ALPHABET[b & 31];
  return id;
}
