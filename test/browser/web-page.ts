import path from "node:path";
import { type Browser, chromium, type Locator, type Page } from "playwright-core";
import { addDefaultGuest, buildPage } from "../../tools/web/build.ts";
import type { Chromium } from "../../tools/web/chromium.ts";
import { serve, type WebServer } from "../../tools/web/serve.ts";

const FOLDER = path.resolve(import.meta.dirname, "..", "..", "build", "web-test");
/** Chromium writes a no-break space for a blank of the terminal. */
const NO_BREAK_SPACE = /\u00a0/g;

/** The page as `npm run web` serves it, in a browser without a window. */
export class WebPage {
  readonly page: Page;
  readonly bootButton: Locator;
  /** What went wrong in the page's own scripts. */
  readonly failures: string[] = [];

  constructor(page: Page) {
    this.page = page;
    this.bootButton = page.getByRole("button", { name: "Boot", exact: true });
    page.on("pageerror", (error) => this.failures.push(error.stack ?? error.message));
    page.on("console", (message) => {
      if (message.type() === "error") this.failures.push(message.text());
    });
  }

  /** What the terminal shows now, a line a row. */
  async screen(): Promise<string> {
    return (await this.page.locator(".xterm-rows").innerText()).replace(NO_BREAK_SPACE, " ");
  }

  /** Resolves when the terminal shows `wanted`; rejects with what it shows instead. */
  async shows(wanted: RegExp, timeoutMs: number): Promise<void> {
    const until = performance.now() + timeoutMs;
    for (;;) {
      const screen = await this.screen();
      if (wanted.test(screen)) return;
      if (performance.now() > until) {
        const status = await this.page.getByRole("status").innerText();
        throw new Error(
          [`${wanted} not shown after ${timeoutMs} ms`, status, ...this.failures, screen].join("\n"),
        );
      }
      await this.page.waitForTimeout(100);
    }
  }

  /** Types a line, as a person would: into the terminal, which has the focus. */
  async type(line: string): Promise<void> {
    await this.page.keyboard.type(`${line}\n`);
  }

  /** Resolves when the line below the form is this one. */
  async status(wanted: string, timeoutMs: number): Promise<void> {
    await this.page.getByRole("status").filter({ hasText: wanted }).waitFor({ timeout: timeoutMs });
  }

  /** The lines that tell what is wrong. */
  async errors(): Promise<string[]> {
    const list = this.page.getByRole("alert").getByRole("listitem");
    await list.first().waitFor();
    return list.allInnerTexts();
  }
}

/** A server with the page, and a browser to open it in. */
export interface WebRig {
  /** Opens the page with this query, such as "?engine=auto". */
  open(query: string): Promise<WebPage>;
  close(): Promise<void>;
}

/** Builds and serves the page as `npm run web` does. */
export async function startWebRig(found: Chromium, withGuest: boolean): Promise<WebRig> {
  if (!found.available) throw new Error(found.reason);
  await buildPage(FOLDER);
  if (withGuest) await addDefaultGuest(FOLDER, () => {});
  const server: WebServer = await serve(FOLDER, 0);
  const browser: Browser = await chromium.launch({
    executablePath: found.executablePath,
    env: { ...(process.env as Record<string, string>), ...found.environment },
  });
  return {
    open: async (query) => {
      const page = new WebPage(await browser.newPage());
      await page.page.goto(server.url + query);
      return page;
    },
    close: async () => {
      await browser.close();
      await server.close();
    },
  };
}
