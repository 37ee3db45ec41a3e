/** Files that a checkpoint folder should not have, in a temporary folder. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, describe, it } from "vitest";

export class StrangeFiles implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), "mlxd-files-"));

  path(file: string): string {
    return join(this.folder, file);
  }

  pipe(file: string): void {
    execFileSync("mkfifo", [this.path(file)]);
  }

  /** A file of that many bytes that takes no room. */
  sized(file: string, bytes: number): void {
    writeFileSync(this.path(file), "");
    truncateSync(this.path(file), bytes);
  }

  /** A safetensors file with a header of that many bytes. */
  weights(headerBytes: number): void {
    this.sized("model.safetensors", 8 + headerBytes);
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(headerBytes));
    writeFileSync(this.path("model.safetensors"), length, { flag: "r+" });
  }

  /** Why a file is refused: never with its path. `read` where it is not. */
  async refusal(read: () => unknown): Promise<string> {
    try {
      await read();
    } catch (error) {
      const { message } = error as Error;
      assert.notInclude(message, this.folder);
      return message;
    }
    return "read";
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true });
  }
}

/** What must hold of every reader of small files. */
export const describeReader = (read: (folder: string, file: string) => unknown): void => {
  describe("a checkpoint's file", () => {
    const refused = "config.json is no regular file";

    it("is no pipe", async () => {
      using files = new StrangeFiles();
      files.pipe("config.json");
      assert.equal(await files.refusal(() => read(files.folder, "config.json")), refused);
    });

    it("is no link to a device or a folder", async () => {
      for (const target of ["/dev/zero", tmpdir()]) {
        using files = new StrangeFiles();
        symlinkSync(target, files.path("config.json"));
        assert.equal(await files.refusal(() => read(files.folder, "config.json")), refused);
      }
    });

    it("may be a link to a file, or not be there", async () => {
      using files = new StrangeFiles();
      writeFileSync(files.path("elsewhere"), "{}");
      symlinkSync(files.path("elsewhere"), files.path("config.json"));
      assert.equal(String(await read(files.folder, "config.json")), "{}");
      assert.isUndefined(await read(files.folder, "nothing.json"));
      symlinkSync(files.path("gone"), files.path("dangling.json"));
      assert.isUndefined(await read(files.folder, "dangling.json"));
    });

    it.each([
      ["tokenizer.json", 64 * 1024 ** 2],
      ["config.json", 16 * 1024 ** 2],
    ])("has not more bytes than it may: %s", async (file, limit) => {
      using files = new StrangeFiles();
      files.sized(file, limit + 1);
      const expected = `${file} has ${limit + 1} bytes; it must not have more than ${limit}`;
      assert.equal(await files.refusal(() => read(files.folder, file)), expected);
      files.sized(file, limit);
      assert.equal(await files.refusal(() => read(files.folder, file)), "read");
    });
  });
};

/** What must hold of every reader of weights' headers. */
export const describeHeaderReader = (read: (folder: string) => unknown): void => {
  describe("the header of a safetensors file", () => {
    it("has at most 32 MiB", async () => {
      using files = new StrangeFiles();
      files.weights(90_000_000);
      const expected = `model.safetensors has a header of 90000000 bytes; it must not have more than ${32 * 1024 ** 2}`;
      assert.equal(await files.refusal(() => read(files.folder)), expected);
    });

    it("is not read from a pipe", async () => {
      using files = new StrangeFiles();
      files.pipe("model.safetensors");
      assert.equal(await files.refusal(() => read(files.folder)), "model.safetensors is no regular file");
    });
  });
};
