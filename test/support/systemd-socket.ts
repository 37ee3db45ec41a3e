/** The socket at which systemd hears its services: Node has no Unix datagram sockets, so Python listens. */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const listener = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("listening", flush=True)
while True:
    print(s.recv(65536).decode().replace("\\n", " | "), flush=True)
`;

export interface SystemdSocket extends AsyncDisposable {
  readonly path: string;
  /** What was heard so far: one line for each datagram. */
  readonly heard: ReadonlyArray<string>;
}

/** Or why there can be none: then a test that needs it is skipped. */
export const listenAsSystemd = async (): Promise<SystemdSocket | string> => {
  for (const program of ["python3", "systemd-notify"]) {
    if (spawnSync(program, ["--version"]).error !== undefined) return `there is no ${program}`;
  }
  const folder = mkdtempSync(join(tmpdir(), "mlxd-notify-"));
  const path = join(folder, "notify");
  const child = spawn("python3", ["-c", listener, path], { stdio: ["ignore", "pipe", "inherit"] });
  const heard: string[] = [];
  await new Promise<void>((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`the listener ended with ${code}`)));
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (line === "listening") resolve();
      else heard.push(line);
    });
  });
  return {
    path,
    heard,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
};
