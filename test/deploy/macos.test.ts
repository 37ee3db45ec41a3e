/**
 * What deploy/macos and deploy/homebrew have for Macs, as far as Linux can tell: the plists are plists and say what docs/deploy.md says; the scripts
 * install, upgrade, go back and uninstall in a folder, with stand-ins for the programs that only macOS has; the log is rotated under a writer.
 */
import { execFile, execFileSync, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, assert, beforeEach, describe, it } from "vitest";

import { serveForTests } from "../support/served-client.ts";
import { ruby } from "../support/tools.ts";

const root = join(import.meta.dirname, "../..");
const scripts = join(root, "deploy/macos");
const configuration = readFileSync(join(root, "docs/configuration.md"), "utf8");

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-macos-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const hasPython = spawnSync("python3", ["--version"]).error === undefined;

/** As macOS reads it. */
const plist = (name: string): Record<string, unknown> => {
  const program = "import json, plistlib, sys; print(json.dumps(plistlib.load(open(sys.argv[1], 'rb'))))";
  return JSON.parse(execFileSync("python3", ["-c", program, join(scripts, name)], { encoding: "utf8" }));
};

describe("the plist of launchd", () => {
  it("starts with the Mac and after a failure, as its user, with time to drain", (context) => {
    if (!hasPython) return context.skip("there is no python3, whose plistlib reads plists");
    const daemon = plist("dev.mlxd.plist");
    assert.deepInclude(daemon, {
      Label: "dev.mlxd",
      UserName: "_mlxd",
      GroupName: "_mlxd",
      RunAtLoad: true,
      KeepAlive: { SuccessfulExit: false },
      Umask: 0o077,
    });
    // What waits for a login would not start with the machine.
    assert.notProperty(daemon, "LimitLoadToSessionType");
    const drainMs = Number(/`MLXD_DRAIN_MS` +\| `(\d+)`/.exec(configuration)?.[1]);
    assert.isAbove(Number(daemon["ExitTimeOut"]), drainMs / 1000);
    const environment = daemon["EnvironmentVariables"] as Record<string, string>;
    for (const name of Object.keys(environment)) {
      if (name.startsWith("MLXD_") && name !== "MLXD_NODE") assert.include(configuration, `\`${name}\``);
    }
  });

  it("has its log rotated, by its own user", (context) => {
    if (!hasPython) return context.skip("there is no python3, whose plistlib reads plists");
    const { ProgramArguments: rotate, UserName: user } = plist("dev.mlxd.rotate-log.plist");
    const { StandardErrorPath: log, StandardOutPath: output } = plist("dev.mlxd.plist");
    assert.strictEqual((rotate as string[]).at(-1), log);
    assert.strictEqual(output, log);
    assert.strictEqual(user, "_mlxd");
  });
});

describe("the rotation of the log", () => {
  const rotate = (max: number, keep = 3) =>
    promisify(execFile)("sh", [join(scripts, "rotate-log"), join(folder, "log")], {
      env: { ...process.env, MAX_BYTES: String(max), KEEP: String(keep) },
    });

  it("leaves a small log alone, and none that is not there", async () => {
    await rotate(100);
    writeFileSync(join(folder, "log"), "short\n");
    await rotate(100);
    assert.deepStrictEqual(readdirSync(folder), ["log"]);
  });

  it("keeps the newest, oldest last, and no more than it may", async () => {
    for (let round = 1; round <= 5; round++) {
      writeFileSync(join(folder, "log"), `${round} `.repeat(100));
      await rotate(100);
      assert.strictEqual(readFileSync(join(folder, "log"), "utf8"), "");
    }
    assert.deepStrictEqual(readdirSync(folder), ["log", "log.1.gz", "log.2.gz", "log.3.gz"]);
    const first = (name: string) => execFileSync("gzip", ["-dc", join(folder, name)], { encoding: "utf8" }).slice(0, 1);
    assert.deepStrictEqual([first("log.1.gz"), first("log.2.gz"), first("log.3.gz")], ["5", "4", "3"]);
  });

  it("lets a writer go on that has the log open", async () => {
    const log = join(folder, "log");
    // As launchd opens it: for appending.
    const writer = spawn("sh", ["-c", `i=0; while read -r line; do echo "line $line"; done >> '${log}'`], {
      stdio: ["pipe", "ignore", "inherit"],
    });
    const write = async (from: number, to: number): Promise<void> => {
      for (let line = from; line < to; line++) writer.stdin.write(`${line}\n`);
      while (!(existsSync(log) && readFileSync(log, "utf8").includes(`line ${to - 1}\n`)))
        await new Promise((resolve) => setTimeout(resolve, 10));
    };
    await write(0, 50);
    await rotate(100);
    await write(50, 60);
    writer.stdin.end();
    await once(writer, "exit");
    const lines = Array.from({ length: 10 }, (_, at) => `line ${50 + at}\n`).join("");
    assert.strictEqual(readFileSync(log, "utf8"), lines, "no hole where the old lines were");
    assert.include(execFileSync("gzip", ["-dc", `${log}.1.gz`], { encoding: "utf8" }), "line 49\n");
  });
});

describe("install, upgrade and uninstall", { timeout: 120_000 }, () => {
  /** An artefact that only says its version, or fails. */
  const artefact = (version: string, works = true): string => {
    const path = join(folder, `artefact-${version}`);
    mkdirSync(join(path, "bin"), { recursive: true });
    writeFileSync(join(path, "package.json"), `{\n  "name": "mlxd",\n  "version": "${version}"\n}\n`);
    writeFileSync(join(path, "bin/mlxd"), `#!/bin/sh\n${works ? `echo ${version}` : "exit 1"}\n`, { mode: 0o755 });
    return path;
  };

  /** Programs of macOS: launchd's knows what is loaded, and a daemon that is started says so in its log, unless it is broken. */
  const standIns = (): string => {
    const bin = join(folder, "bin");
    mkdirSync(bin, { recursive: true });
    const program = (name: string, text: string) =>
      writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    const loaded = join(folder, "loaded");
    mkdirSync(loaded, { recursive: true });
    program("uname", 'case "$1" in -sm) echo "Darwin arm64" ;; -s) echo Darwin ;; *) echo arm64 ;; esac');
    program("id", "echo 0");
    program("chown", `echo "chown $*" >> '${folder}/calls'`);
    program(
      "install",
      `echo "install $*" >> '${folder}/calls'; for path; do case $1/$path in -d/'${folder}'/*) mkdir -p "$path" ;; esac; done`,
    );
    program("plutil", "exit 0");
    program(
      "dscl",
      `echo "dscl $*" >> '${folder}/calls'
case "$2" in -read) grep -q "create $3$" '${folder}/calls' ;; -search) if [ "$5" = 300 ]; then echo taken; fi ;; esac`,
    );
    program(
      "launchctl",
      `echo "launchctl $*" >> '${folder}/calls'
case "$1" in
  print) [ -e '${loaded}'/"\${2#system/}" ] ;;
  bootstrap) name=$(basename "$3" .plist)
    if [ -e '${folder}/root/usr/local/mlxd/current/refused' ]; then echo 'Bootstrap failed: 5' >&2; exit 5; fi
    touch '${loaded}'/$name
    if [ $name = dev.mlxd ] && [ ! -e '${folder}/root/usr/local/mlxd/current/broken' ]; then
      echo 'mlxd is ready at http://127.0.0.1:50051' >> '${folder}/root/usr/local/var/log/mlxd/mlxd.log'; fi ;;
  bootout) rm '${loaded}'/"\${2#system/}" ;;
esac`,
    );
    return bin;
  };

  const run = async (script: string, args: readonly string[], more: Record<string, string> = {}): Promise<string> => {
    const env = {
      PATH: `${standIns()}:${process.env["PATH"] ?? ""}`,
      MLXD_ROOT: join(folder, "root"),
      MLXD_NODE: process.execPath,
      READY_SECONDS: "2",
      ...more,
    };
    try {
      const { stdout } = await promisify(execFile)("sh", [join(scripts, script), ...args], { env });
      return stdout;
    } catch (error) {
      return `FAILED ${(error as { stderr: string }).stderr}`;
    }
  };

  const at = (path: string): string => join(folder, "root", path);
  const calls = (): string => readFileSync(join(folder, "calls"), "utf8");
  const current = (): string => readlinkSync(at("usr/local/mlxd/current"));

  it("installs for a user of its own, and starts", async () => {
    assert.include(await run("install", [artefact("1.0.0")]), "mlxd 1.0.0 runs");
    assert.strictEqual(current(), "versions/1.0.0");
    const daemon = readFileSync(at("Library/LaunchDaemons/dev.mlxd.plist"), "utf8");
    assert.include(daemon, `<string>${process.execPath}</string>`);
    assert.notInclude(daemon, "@NODE@");
    // 300 is taken.
    assert.include(calls(), "dscl . -create /Users/_mlxd UniqueID 301");
    assert.include(calls(), "dscl . -create /Users/_mlxd UserShell /usr/bin/false");
    assert.match(calls(), /install -d -m 700 -o _mlxd -g _mlxd .*usr\/local\/var\/mlxd/);
    assert.match(calls(), /install -m 600 -o _mlxd -g _mlxd \/dev\/null .*mlxd\.log/);
    assert.match(calls(), /launchctl bootstrap system .*dev\.mlxd\.plist/);
    assert.include(await run("install", [artefact("1.0.0")]), "FAILED mlxd: it is installed already, as version 1.0.0");
  });

  it("says what to do where it does not start, and can be installed again after it was removed", async () => {
    for (const [problem, told] of [
      ["broken", "was started and is not ready"],
      ["refused", "launchd does not start mlxd 1.0.0"],
    ] as const) {
      const unusable = artefact("1.0.0");
      writeFileSync(join(unusable, problem), "");
      const failed = await run("install", [unusable]);
      assert.include(failed, told);
      assert.include(failed, "deploy/macos/uninstall removes what was installed");
      rmSync(join(unusable, problem));
      assert.include(await run("uninstall", []), "mlxd is gone");
    }
    assert.include(await run("install", [artefact("1.0.0")]), "mlxd 1.0.0 runs");
  });

  it("is found by what runs before the Mac sleeps, though launchd's PATH does not lead to it", async () => {
    await run("install", [artefact("1.0.0")]);
    const env = { PATH: "/usr/bin:/bin", MLXD_ROOT: join(folder, "root") };
    const { stdout } = await promisify(execFile)("sh", [join(scripts, "before-sleep")], { env });
    assert.strictEqual(stdout, "1.0.0\n");
  });

  it("upgrades, keeps one version for a way back, and goes back where the new one is not ready", async () => {
    await run("install", [artefact("1.0.0")]);
    writeFileSync(at("usr/local/etc/mlxd/mlxd.yaml"), "service: { port: 1 }\n");
    assert.include(await run("upgrade", [artefact("1.1.0")]), "mlxd 1.1.0 runs in the place of 1.0.0");
    assert.include(await run("upgrade", [artefact("1.2.0")]), "mlxd 1.2.0 runs in the place of 1.1.0");
    assert.deepStrictEqual(readdirSync(at("usr/local/mlxd/versions")), ["1.1.0", "1.2.0"]);
    assert.strictEqual(readFileSync(at("usr/local/etc/mlxd/mlxd.yaml"), "utf8"), "service: { port: 1 }\n");
    // One that never becomes ready, and one that launchd does not take.
    for (const problem of ["broken", "refused"]) {
      const unusable = artefact("1.3.0");
      writeFileSync(join(unusable, problem), "");
      assert.include(
        await run("upgrade", [unusable]),
        "mlxd: mlxd 1.3.0 did not become ready, and 1.2.0 runs again",
        problem,
      );
      assert.strictEqual(current(), "versions/1.2.0");
      assert.deepStrictEqual(readdirSync(join(folder, "loaded")), ["dev.mlxd", "dev.mlxd.rotate-log"]);
      rmSync(join(unusable, problem));
    }
    assert.include(await run("upgrade", [artefact("1.4.0", false)]), "FAILED mlxd: mlxd 1.4.0 does not start with");
    assert.strictEqual(current(), "versions/1.2.0");
    assert.include(await run("upgrade", [artefact("1.2.0")]), "FAILED mlxd: version 1.2.0 is the one that runs");
  });

  it("uninstalls what it has installed: what was asked of it alone", async () => {
    await run("install", [artefact("1.0.0")]);
    writeFileSync(join(at("usr/local/var/mlxd/models"), "weights"), "");
    assert.include(await run("uninstall", []), "Models, jobs and logs are left");
    assert.isFalse(existsSync(at("usr/local/mlxd")));
    assert.deepStrictEqual(readdirSync(at("Library/LaunchDaemons")), []);
    assert.deepStrictEqual(readdirSync(join(folder, "loaded")), []);
    assert.isTrue(existsSync(at("usr/local/var/mlxd/models/weights")));
    assert.notInclude(calls(), "-delete");
    assert.include(await run("install", [artefact("1.0.0")]), "mlxd 1.0.0 runs");
    assert.include(await run("uninstall", ["--purge"]), "and all that it had");
    for (const path of ["usr/local/var/mlxd", "usr/local/etc/mlxd", "usr/local/var/log/mlxd"])
      assert.isFalse(existsSync(at(path)));
    assert.include(calls(), "dscl . -delete /Users/_mlxd");
  });

  it("says what it lacks, before it changes anything", async () => {
    assert.include(await run("install", []), "FAILED usage:");
    assert.include(await run("install", [join(folder, "nothing")]), "npm run build writes it");
    const old = join(folder, "old-node");
    writeFileSync(old, "#!/bin/sh\necho v20.1.0\n");
    chmodSync(old, 0o755);
    assert.include(await run("install", [artefact("1.0.0")], { MLXD_NODE: old }), "is no Node >= 24");
    assert.include(await run("install", [artefact("1.0.0")], { MLXD_NODE: "/Users/me/node" }), "is no Node >= 24");
    assert.include(await run("upgrade", [artefact("1.0.0")]), "it is not installed");
    assert.include(await run("uninstall", ["--everything"]), "FAILED usage:");
    assert.isFalse(existsSync(join(folder, "root")));
  });

  it("does nothing on another system", () => {
    if (process.platform === "darwin") return;
    const { status, stderr } = spawnSync("sh", [join(scripts, "install"), folder], { encoding: "utf8" });
    assert.strictEqual(status, 1);
    assert.include(stderr, "on Linux there is deploy/systemd");
  });
});

describe("what runs before the Mac sleeps", { timeout: 120_000 }, () => {
  const served = serveForTests();

  it("unloads every model, pinned ones too, and the next call loads it again", async () => {
    await served.client.pinModel("demo");
    const { stdout } = await promisify(execFile)("sh", [join(scripts, "before-sleep")], {
      env: { ...process.env, PATH: `${join(root, "bin")}:${process.env["PATH"]}`, MLXD_SERVER: served.service.url },
    });
    assert.match(stdout, /^unloaded: demo; they had/);
    assert.notEqual((await served.client.generate("What is 2+2?")).text, "");
  });
});

describe("the formula of Homebrew", () => {
  it("has the archive's own hash, and nothing left to fill in", () => {
    const build = join(folder, "mlxd");
    mkdirSync(join(build, "binding/prebuilt"), { recursive: true });
    writeFileSync(join(build, "package.json"), '{ "version": "1.2.3" }');
    writeFileSync(join(build, "binding/prebuilt/darwin-arm64.node"), "");
    const args = ["--from", build, "--out", folder, "--url", "https://downloads.example/mlxd/"];
    execFileSync(process.execPath, [join(root, "scripts/build-formula.ts"), ...args]);
    const formula = readFileSync(join(folder, "mlxd.rb"), "utf8");
    const archive = join(folder, "mlxd-1.2.3-darwin-arm64.tar.gz");
    const sum = createHash("sha256").update(readFileSync(archive)).digest("hex");
    assert.include(formula, `sha256 "${sum}"`);
    assert.include(formula, 'url "https://downloads.example/mlxd/mlxd-1.2.3-darwin-arm64.tar.gz"');
    assert.notMatch(formula.replace("python@3.13", ""), /@/);
    // Homebrew changes into an archive's only folder, whose content is then what is installed.
    assert.match(execFileSync("tar", ["-tzf", archive], { encoding: "utf8" }), /^mlxd\/\nmlxd\//);
    assert.strictEqual(
      (formula.match(/^ *(?:class|def|service do|test do|begin)\b/gm) ?? []).length,
      (formula.match(/^ *end$/gm) ?? []).length,
    );
    for (const [, name = ""] of formula.matchAll(/\b(MLXD_\w+)\b/g)) {
      if (name !== "MLXD_NODE") assert.include(configuration, `\`${name}\``);
    }
  });

  it("is Ruby", async (context) => {
    const found = await ruby();
    if (typeof found === "string") return context.skip(found);
    const options = { encoding: "utf8", env: found.environment } as const;
    const check = (file: string) => spawnSync(found.ruby, ["--disable-gems", "-c", file], options);
    const file = join(root, "deploy/homebrew/mlxd.rb");
    assert.include(check(file).stdout, "Syntax OK");
    // And it would say so.
    const broken = join(folder, "broken.rb");
    writeFileSync(broken, readFileSync(file, "utf8").replace(/^end$/m, ""));
    assert.strictEqual(check(broken).status, 1);
  });

  it("is written for what was built for Macs alone, and for an address that Ruby reads as one", () => {
    const run = (...args: string[]) =>
      spawnSync(
        process.execPath,
        [join(root, "scripts/build-formula.ts"), "--from", folder, "--out", folder, ...args],
        { encoding: "utf8" },
      );
    assert.include(run().stderr, "--url says where");
    assert.include(run("--url", "http://a.example").stderr, "is no https URL");
    assert.include(run("--url", 'https://a.example/"#{x}').stderr, "is no https URL");
    assert.include(run("--url", "https://a.example").stderr, "there is no mlxd for Macs");
  });
});
