/** docs/calls.md has an example of every call, by the client and without it; test/examples.test.ts runs them. */
import { readdirSync, readFileSync } from "node:fs";
import { assert, describe, it } from "vitest";

const protos = new URL("../../proto/mlxd/v1/", import.meta.url);
const page = readFileSync(new URL("../../docs/calls.md", import.meta.url), "utf8");

const calls = readdirSync(protos).flatMap((file) => {
  const proto = readFileSync(new URL(file, protos), "utf8");
  const service = /^service (\w+)/m.exec(proto)?.[1] ?? "";
  return [...proto.matchAll(/^ {2}rpc (\w+)\(/gm)].map(([, method = ""]) => [service, method] as const);
});

const blocks = (language: string) =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms"))].map(([, code]) => code ?? "");
const [client, shell] = [blocks("ts node").join("\n"), blocks("sh").join("\n")];

describe("the page of every call", () => {
  it.each(calls)("has %s/%s", (service, method) => {
    assert.match(client, new RegExp(`"${method}:"`), "with the client");
    assert.match(shell, new RegExp(`\\b${service}/${method}\\b`), "with curl or grpcurl");
  });

  it("has found the calls", () => assert.isAtLeast(calls.length, 21));
});
