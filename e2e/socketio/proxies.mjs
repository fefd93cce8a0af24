// The load balancers: nginx and haproxy of the system, with the files in configs/ in which only addresses
// are others.
import { spawnSync } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { config, freePort, Program } from "./node.mjs";

/** The same text with all of these replaced; each must be there. */
export function replaced(text, pairs) {
  for (const [from, to] of pairs) {
    if (!text.includes(from)) throw new Error(`the configuration has no ${JSON.stringify(from)}`);
    text = text.replaceAll(from, to);
  }
  return text;
}

const kinds = {
  nginx: {
    version: ["-v"],
    file: "nginx.conf",
    addresses: (dir, port) => [
      ["listen 8080;", `listen 127.0.0.1:${port};`],
      ["/var/log/nginx/heddle.log", join(dir, "access.log")],
      ["http {\n", `http {\n${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((n) => `  ${n}_temp_path ${join(dir, n)};\n`).join("")}`],
    ],
    args: (dir, file) => ["-p", dir, "-e", "stderr", "-c", file, "-g", `daemon off; pid ${join(dir, "nginx.pid")};`],
    /** What makes of the file one that lets no WebSocket through. */
    blocked: [["      proxy_set_header Upgrade    $http_upgrade;\n", ""]],
    /** One that forgets where the connections of the second node are. */
    forgetful: [["    ~^heddle-2\\.   heddle-2;\n", ""]],
  },
  haproxy: {
    version: ["-v"],
    file: "haproxy.cfg",
    addresses: (_, port) => [["bind :8080", `bind 127.0.0.1:${port}`], ["maxconn 32768", "maxconn 1000"]], // not every user may have so many files
    args: (_, file) => ["-db", "-f", file],
    blocked: [["  default_backend heddle\n", "  default_backend heddle\n  http-request deny if { hdr(Upgrade) -m found }\n"]],
    forgetful: [["  use-server heddle-2 if { urlp(sid) -m beg heddle-2. }\n", ""]],
  },
};

export const names = Object.keys(kinds);

/** Debian keeps such programs where only root's PATH has them. */
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };

/** Why this one can not be tested here, or nothing. E2E_REQUIRE names those that must be there. */
export function missing(name) {
  const { error } = spawnSync(name, kinds[name].version, { env });
  if (!error || (process.env.E2E_REQUIRE ?? "").split(",").includes(name)) return undefined;
  return `${name} is not installed`;
}

export class Proxy extends Program {
  /** Starts one in front of two nodes; changes are made to its file before. */
  static async start(name, nodes, changes = []) {
    const kind = kinds[name];
    const dir = await mkdtemp(join(tmpdir(), `heddle-${name}-`));
    await chmod(dir, 0o755); // nginx's workers are another user than root
    const port = await freePort();
    const addresses = nodes.map((node, i) => [`10.0.0.1${i + 1}:8080`, node.address]);
    const text = replaced(await config(kind.file), [...changes.flatMap((c) => kind[c] ?? [c]), ...addresses, ...kind.addresses(dir, port)]);
    const file = join(dir, kind.file);
    await writeFile(file, text);
    const proxy = new Proxy(name, kind.args(dir, file), { env });
    Object.assign(proxy, { dir, url: `http://127.0.0.1:${port}` });
    await proxy.start(proxy.url);
    return proxy;
  }

  async stop() {
    await this.end("SIGTERM");
    await rm(this.dir, { recursive: true, force: true });
  }
}
