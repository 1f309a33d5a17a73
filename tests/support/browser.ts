import { type Browser, chromium } from "playwright-core";
import { testUnless } from "./requirement.ts";

/** Where Chromium and Chrome are found; `CHROMIUM_PATH` comes first. */
const CANDIDATES = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/** The path of a browser on this machine, if there is one. */
async function findBrowser(): Promise<string | undefined> {
  const chosen = Deno.env.get("CHROMIUM_PATH");
  for (const path of chosen === undefined ? CANDIDATES : [chosen]) {
    const found = await Deno.stat(path).catch(() => undefined);
    if (found?.isFile) return path;
  }
  if (chosen !== undefined) throw new Error(`CHROMIUM_PATH: there is no file ${chosen}`);
  return undefined;
}

/** Starts a headless browser that talks to nobody but the pages it is shown. */
async function startBrowser(executablePath: string): Promise<Browser & AsyncDisposable> {
  const browser = await chromium.launch({
    executablePath,
    args: [
      // Root has no sandbox, and tests show the browser only our own pages.
      "--no-sandbox",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-quic",
      "--disable-sync",
      "--no-first-run",
    ],
  });
  return Object.assign(browser, { [Symbol.asyncDispose]: () => browser.close() });
}

/**
 * Declares a test in a real browser. Where there is none it is ignored and says so; in CI a missing
 * browser is a failure.
 */
export function browserTest(name: string, run: (browser: Browser) => Promise<void>): void {
  const isIgnored = browserPath === undefined && Deno.env.get("CI") === undefined;
  testUnless(isIgnored ? WHY : undefined, name, () => withBrowser(run));
}

/** @throws {Error} When there is no browser on this machine. */
export async function withBrowser(run: (browser: Browser) => Promise<void>): Promise<void> {
  if (browserPath === undefined) throw new Error(WHY);
  await using browser = await startBrowser(browserPath);
  await run(browser);
}

const browserPath = await findBrowser();
const WHY = "no Chromium on this machine: install one, or set CHROMIUM_PATH";
