/**
 * Takes the screenshots of the status page for the README, from a real service in a real outage:
 * `deno run -A tools/take_screenshots.ts`. Requires Chromium.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { withBrowser } from "../tests/support/browser.ts";
import { startPostgres } from "../tests/support/postgres.ts";
import { databaseEnv, startService } from "../tests/support/service.ts";

const FOLDER = new URL("../docs/images/", import.meta.url);
/** Time to collect data for the charts. */
const LOOK_MS = 20_000;

await withBrowser(async (browser) => {
  await using postgres = await startPostgres();
  await using service = await startService({ env: databaseEnv(postgres) });
  const tab = await browser.newPage({ viewport: { width: 1000, height: 800 } });
  await tab.goto(service.url);
  await tab.waitForTimeout(LOOK_MS);
  await take(tab, "status-healthy");
  await postgres.stop();
  await tab.waitForTimeout(LOOK_MS);
  await take(tab, "status-outage");
  await postgres.start();
  await tab.waitForTimeout(LOOK_MS);
  await tab.setViewportSize({ width: 390, height: 800 });
  await tab.emulateMedia({ colorScheme: "dark" });
  await tab.waitForTimeout(1000);
  await take(tab, "status-phone");
});

async function take(tab: Page, name: string): Promise<void> {
  await tab.screenshot({ path: fileURLToPath(new URL(`${name}.png`, FOLDER)), fullPage: true });
}
