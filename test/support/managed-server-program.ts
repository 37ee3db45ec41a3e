/**
 * A server of OpenAI's chat completions that does as its arguments say, for models whose server mlxd starts. It tells its process and the
 * environment in its answers.
 *
 * - `--port=N` where it listens
 * - `--silent` it listens and answers nothing
 * - `--refuses` it answers that it has no such model
 * - `--ends=TEXT` it writes TEXT and ends with 3
 * - `--busy=N` its first N answers are HTTP 503
 * - `--child` it has a child that ignores SIGTERM, and ignores it itself
 *
 * A message `die` ends it before an answer, `die halfway` after a piece of one, `hang` holds the answer, and after `lame` every
 * answer is HTTP 500.
 */
import { spawn } from "node:child_process";
import { createServer, type ServerResponse } from "node:http";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    port: { type: "string" },
    silent: { type: "boolean" },
    refuses: { type: "boolean" },
    ends: { type: "string" },
    busy: { type: "string", default: "0" },
    child: { type: "boolean" },
  },
});

if (values.ends !== undefined) {
  process.stderr.write(`${values.ends}\n`);
  process.exit(3);
}
if (values.child === true) {
  process.on("SIGTERM", () => {});
  const stubborn = 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)';
  spawn(process.execPath, ["-e", stubborn], { stdio: "ignore" });
}

let busy = Number(values.busy);
let isLame = false;

const chunk = (delta: object, finish: string | null = null): string =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;

const answer = (response: ServerResponse, body: { readonly stream?: boolean; readonly messages: unknown }): void => {
  const asked = JSON.stringify(body.messages);
  if (asked.includes("die halfway")) {
    response.writeHead(200, { "content-type": "text/event-stream" }).write(chunk({ content: "Half" }), () => {
      setTimeout(() => process.kill(process.pid, "SIGKILL"), 50);
    });
    return;
  }
  if (asked.includes("die")) return void process.kill(process.pid, "SIGKILL");
  if (asked.includes("hang")) return;
  if (asked.includes("lame")) isLame = true;
  if (isLame) return void response.writeHead(500).end("{}");
  const content = `I am ${process.pid} at ${process.cwd()} with ${process.env["WITH"] ?? "nothing"}.`;
  if (body.stream !== true) {
    const choices = [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }];
    return void response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ choices }));
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.end(`${chunk({ content })}${chunk({}, "stop")}data: [DONE]\n\n`);
};

createServer((request, response) => {
  if (values.silent === true) return;
  const parts: Buffer[] = [];
  request.on("data", (part: Buffer) => parts.push(part));
  request.on("end", () => {
    if (request.method === "GET") return void response.writeHead(404).end();
    if (busy-- > 0) return void response.writeHead(503).end("{}");
    if (values.refuses === true) return void response.writeHead(404).end('{"error": "there is no such model"}');
    return answer(response, JSON.parse(Buffer.concat(parts).toString()));
  });
}).listen(Number(values.port), "127.0.0.1");
