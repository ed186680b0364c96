import { afterAll, beforeAll, expect, test } from "vitest";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { findChromium } from "../../tools/web/chromium.ts";
import { startWebRig, type WebPage, type WebRig } from "./web-page.ts";

const chromium = await findChromium();
const guest = await fetchGuest("default");
const noChromium = chromium.available ? undefined : chromium.reason;
const noGuest = guest.available ? undefined : guest.reason;
const BOOT_MS = 240_000;
const ANSWER_MS = 30_000;
/** Not at the end: on a very busy machine the kernel complains on the console of time that it has missed. */
const PROMPT = /root@ringfence:~# /;
const PROMPT_AFTER_INTERRUPT = /\^C\s+root@ringfence:~# /;

let rig: WebRig;
beforeAll(async () => {
  if (chromium.available) rig = await startWebRig(chromium, guest.available);
});
afterAll(() => rig?.close());

function browserTest(name: string, obstacle: string | undefined, body: () => Promise<void>): void {
  const suffix = obstacle === undefined ? "" : ` (skipped: ${obstacle})`;
  test.skipIf(obstacle !== undefined)(name + suffix, { timeout: BOOT_MS + 3 * ANSWER_MS }, body);
}

async function bootToShell(engine: string): Promise<WebPage> {
  const page = await rig.open(`?engine=${engine}`);
  await page.page.getByLabel("Debian's cloud kernel").waitFor();
  await page.bootButton.click();
  await page.shows(PROMPT, BOOT_MS);
  return page;
}

browserTest(
  "the default guest boots to its shell with engine auto, answers, and powers off",
  noChromium ?? noGuest,
  async () => {
    const page = await bootToShell("auto");
    await page.type("uname -a");
    await page.shows(/Linux ringfence 6\.\S+-cloud-amd64 [\s\S]*x86_64 GNU\/Linux/, ANSWER_MS);
    await page.type("poweroff");
    await page.status("The guest has powered off.", ANSWER_MS);
    await page.shows(/reboot: Power down/, ANSWER_MS);
    // It was the translator that ran, not the interpreter alone.
    expect(await page.page.locator("#statistics pre").textContent()).toMatch(/regionsMade: [1-9]/);
    expect(page.failures).toEqual([]);
  },
);

browserTest(
  "engine interpreter: Ctrl-C ends endless output and endless work, and the plug can be pulled",
  noChromium ?? noGuest,
  async () => {
    const page = await bootToShell("interpreter");
    await page.type("yes 0123456789");
    await page.shows(/(0123456789\s+){20}/, ANSWER_MS);
    await page.page.keyboard.press("Control+c");
    await page.shows(PROMPT_AFTER_INTERRUPT, ANSWER_MS);
    await page.type("clear; echo begun; while :; do :; done");
    await page.shows(/^begun\s*$/m, ANSWER_MS);
    await page.page.keyboard.press("Control+c");
    await page.shows(PROMPT_AFTER_INTERRUPT, ANSWER_MS);
    await page.type("clear; echo begun; while :; do :; done");
    await page.shows(/^begun\s*$/m, ANSWER_MS);
    await page.page.getByRole("button", { name: "Pull the plug" }).click();
    await page.status("The plug was pulled.", ANSWER_MS);
    expect(page.failures).toEqual([]);
  },
);

browserTest("a file that is no kernel is refused with a reason", noChromium, async () => {
  const page = await rig.open("");
  await page.page.getByLabel("files on this computer").check();
  const file = { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("no kernel\n".repeat(100)) };
  await page.page.locator("input[name=kernel-file]").setInputFiles(file);
  await page.bootButton.click();
  expect(await page.errors()).toEqual([expect.stringMatching(/^not a kernel that can be started: /)]);
});

browserTest("an address without a kernel is told, and another one can be tried", noChromium, async () => {
  const page = await rig.open("?kernel=http://localhost/nothing&memory=64");
  const address = page.page.locator("input[name=kernel]");
  await address.fill(new URL("missing.bin", page.page.url()).href);
  await page.bootButton.click();
  expect(await page.errors()).toEqual([expect.stringMatching(/\/missing\.bin: no such file$/)]);
  await address.fill("http://localhost:1/vmlinuz");
  await page.bootButton.click();
  await page.page.getByText("vmlinuz: cannot be read: the server does not answer").waitFor();
});

browserTest(
  "without cross-origin isolation the page says what its server must send",
  noChromium,
  async () => {
    const page = await rig.open("");
    await page.page.route("**/*", async (route) => {
      const response = await route.fetch();
      const headers = { ...response.headers() };
      delete headers["cross-origin-embedder-policy"];
      await route.fulfill({ response, headers });
    });
    await page.page.reload();
    expect(await page.errors()).toEqual([
      expect.stringContaining("Cross-Origin-Embedder-Policy: require-corp"),
    ]);
    expect(await page.bootButton.isDisabled()).toBe(true);
  },
);
