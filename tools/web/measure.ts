/**
 * Boots the default guest to its shell in Chromium and in Node.js with the same engine, leaves it alone there, lets it compute,
 * and prints what both cost the host. Linux only.
 *
 *     node tools/web/measure.ts [--engine NAME] [--idle SECONDS]     # auto, 30
 */
import { spawn } from "node:child_process";
import path from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { addDefaultGuest, buildPage, WEB_FOLDER } from "./build.ts";
import { findChromium } from "./chromium.ts";
import { ProcessTree } from "./process-tree.ts";
import { serve } from "./serve.ts";

const PROGRAM = path.resolve(import.meta.dirname, "..", "..", "src", "cli", "main.ts");
const PROMPT = "root@ringfence:~#";
/** Work of a few seconds, and what its result begins with. */
const WORK = "head -c 40000000 /dev/zero | sha256sum";
const RESULT = "c0e6623abfbed73c146b";
const SETTLE_MS = 5000;
const BOOT_MS = 180_000;

const { values } = parseArgs({
  options: { engine: { type: "string", default: "auto" }, idle: { type: "string", default: "30" } },
});
const idleSeconds = Number(values.idle);

/** A machine at its shell. */
interface Session {
  readonly name: string;
  readonly tree: ProcessTree;
  /** CPU time that the tree had used before the guest was asked for. */
  readonly startSeconds: number;
  type(line: string): Promise<void>;
  /** Resolves when the guest has printed this. */
  printed(text: string): Promise<void>;
}

async function measure({ name, tree, startSeconds, type, printed }: Session): Promise<void> {
  const boot = tree.cpuSeconds() - startSeconds;
  await sleep(SETTLE_MS);
  const [cpuBefore, before] = [tree.cpuSeconds(), performance.now()];
  await sleep(idleSeconds * 1000);
  const share = (tree.cpuSeconds() - cpuBefore) / ((performance.now() - before) / 1000);
  const { largest, all } = tree.residentMegabytes();
  const beforeWork = tree.cpuSeconds();
  await type(WORK);
  await printed(RESULT);
  const work = tree.cpuSeconds() - beforeWork;
  console.log(
    `${name}: started with ${startSeconds.toFixed(2)} s of CPU time, boot to the shell ${boot.toFixed(2)} s`,
  );
  console.log(`${name}: idle at the shell for ${idleSeconds} s: ${(100 * share).toFixed(2)} % of a core`);
  console.log(`${name}: ${WORK}: ${work.toFixed(2)} s of CPU time`);
  console.log(
    `${name}: resident ${all.toFixed(0)} MB, of it in the largest process ${largest.toFixed(0)} MB`,
  );
}

async function measureChromium(): Promise<void> {
  const found = await findChromium();
  if (!found.available) throw new Error(found.reason);
  await buildPage(WEB_FOLDER);
  await addDefaultGuest(WEB_FOLDER, () => {});
  const server = await serve(WEB_FOLDER, 0);
  const browserServer = await chromium.launchServer({
    executablePath: found.executablePath,
    env: { ...(process.env as Record<string, string>), ...found.environment },
  });
  try {
    const browser = await chromium.connect(browserServer.wsEndpoint());
    const page = await browser.newPage();
    await page.goto(`${server.url}?engine=${values.engine}`);
    await page.getByLabel("Debian's cloud kernel").waitFor();
    await sleep(SETTLE_MS);
    const tree = new ProcessTree(browserServer.process().pid ?? 0);
    const startSeconds = tree.cpuSeconds();
    await page.getByRole("button", { name: "Boot", exact: true }).click();
    await page.locator(".xterm-rows").getByText(PROMPT).waitFor({ timeout: BOOT_MS });
    await measure({
      name: "Chromium",
      tree,
      startSeconds,
      type: (line) => page.keyboard.type(`${line}\n`),
      printed: (text) => page.locator(".xterm-rows").getByText(text).waitFor({ timeout: BOOT_MS }),
    });
  } finally {
    await browserServer.close();
    await server.close();
  }
}

async function measureNode(): Promise<void> {
  const child = spawn(process.execPath, [PROGRAM, "run", "--engine", values.engine], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  const printed = (wanted: string) =>
    new Promise<void>((resolve, reject) => {
      let output = "";
      const take = (text: string) => {
        output += text;
        if (!output.includes(wanted)) return;
        child.stdout.off("data", take);
        resolve();
      };
      child.stdout.setEncoding("latin1").on("data", take);
      child.on("error", reject);
      child.on("close", () => reject(new Error(`the guest ended before it printed ${wanted}:\n${output}`)));
    });
  try {
    await printed(PROMPT);
    await measure({
      name: "Node.js",
      tree: new ProcessTree(child.pid ?? 0),
      startSeconds: 0,
      type: async (line) => void child.stdin.write(`${line}\n`),
      printed,
    });
  } finally {
    child.removeAllListeners("close");
    child.kill();
  }
}

await measureChromium();
await measureNode();
