import assert from "node:assert/strict";
import axe from "axe-core";
import type { Browser, Page } from "playwright-core";
import { claimPort } from "../../dev/postgres/free_port.ts";
import { browserTest } from "../support/browser.ts";
import { eventually } from "../support/condition.ts";
import { startPostgres } from "../support/postgres.ts";
import { databaseEnv, startService } from "../support/service.ts";

const PHONE = { width: 375, height: 700 };

/** Opens the page and collects what the browser complains about. */
async function openPage(browser: Browser, url: string) {
  const tab = await browser.newPage();
  const complaints: string[] = [];
  tab.on("pageerror", (error) => complaints.push(error.message));
  tab.on("console", (message) => {
    if (message.text().includes("Content Security Policy")) complaints.push(message.text());
  });
  await tab.goto(url);
  return { tab, complaints };
}

const textOf = (tab: Page, selector: string) => tab.locator(selector).innerText();

async function shows(tab: Page, selector: string, expected: string | RegExp): Promise<void> {
  const found = tab.locator(selector).filter({ hasText: expected });
  await found.first().waitFor({ timeout: 30_000 });
}

/** axe-core's violations, in short; the page's policy admits no script, so it comes as a value. */
async function violations(tab: Page): Promise<string[]> {
  await tab.evaluate(axe.source);
  return await tab.evaluate(`axe.run().then(({ violations }) =>
    violations.map(({ id, nodes }) => id + ": " + nodes.map(({ html }) => html).join(" ")))`);
}

browserTest(
  "status page: red while the database is stopped, green by itself after",
  async (browser) => {
    await using postgres = await startPostgres();
    await using service = await startService({ env: databaseEnv(postgres) });
    const { tab, complaints } = await openPage(browser, service.url);

    await shows(tab, "#overall-word", "Healthy");
    await shows(tab, "#link", "Live");
    assert.equal(await tab.title(), "● Healthy – Treasury");
    const healthyColor = await colorOf(tab);

    await postgres.stop();
    await shows(tab, "#overall-word", "Unhealthy");
    await shows(tab, "article .error", "The database server refused the connection");
    await shows(tab, "#events li", "access read-write → unavailable");
    await shows(tab, "#events li", /circuit closed → (open|half-open)/);
    assert.match(await textOf(tab, "dl"), /Circuit\s+(open|half-open)/);
    assert.notEqual(await colorOf(tab), healthyColor);
    assert.deepEqual(await violations(tab), []);

    await postgres.start();
    await shows(tab, "#overall-word", /^Healthy$/);
    assert.equal(await colorOf(tab), healthyColor);
    await shows(tab, "#events li", /postgresql-primary.*back after/);
    await shows(tab, "#outages", "One recent outage, recovered after");
    assert.deepEqual(complaints, []);
  },
);

browserTest("status page: the pool as a gauge, in words and as a chart", async (browser) => {
  await using postgres = await startPostgres();
  await using service = await startService({
    env: {
      ...databaseEnv(postgres),
      DB_MAX_CONNECTIONS: "7",
      HEALTH_GRPC_DEPENDENCIES: "ledger=http://127.0.0.1:1?critical=false",
    },
  });
  const { tab } = await openPage(browser, service.url);
  await shows(tab, "[data-field=pool-words]", /\d in use, \d idle, maximum 7; 0 waiting/);
  const meter = tab.getByRole("meter", { name: "Connections in use" });
  assert.equal(await meter.getAttribute("aria-valuemax"), "7");
  await eventually(
    async () => (await tab.locator("[data-field=pool-chart] canvas").count()) === 1,
    { what: "the chart of the pool is drawn" },
  );
  await eventually(async () => {
    const card = await tab.locator("article").first().boundingBox();
    const chart = await tab.locator("[data-field=pool-chart] .uplot").boundingBox();
    return card !== null && chart !== null && chart.x + chart.width <= card.x + card.width;
  }, { what: "it keeps to its card, which the second one has made narrow" });
});

browserTest("status page: accessible in light and dark, and on a phone", async (browser) => {
  await using postgres = await startPostgres();
  await using service = await startService({ env: databaseEnv(postgres) });
  const { tab } = await openPage(browser, service.url);
  await shows(tab, "#overall-word", "Healthy");
  for (const colorScheme of ["light", "dark"] as const) {
    await tab.emulateMedia({ colorScheme });
    assert.deepEqual(await violations(tab), [], colorScheme);
  }
  await tab.setViewportSize(PHONE);
  await eventually(
    async () => await tab.evaluate("document.documentElement.scrollWidth") === PHONE.width,
    { what: "nothing is wider than the phone" },
  );
  assert.deepEqual(await violations(tab), [], "phone");
});

browserTest("status page: says when it is stale, and is live again by itself", async (browser) => {
  await using postgres = await startPostgres();
  await using claim = await claimPort();
  const SERVER_PORT = String(claim.port);
  const first = await startService({
    env: {
      ...databaseEnv(postgres),
      SERVER_PORT,
      HEALTH_GRPC_DEPENDENCIES: "ledger=http://127.0.0.1:1?critical=false",
    },
  });
  await using stopped = new AsyncDisposableStack();
  stopped.use(first);
  const { tab } = await openPage(browser, first.url);
  await shows(tab, "#overall-word", "Degraded");
  await shows(tab, "article h3", "ledger");
  first.kill("SIGKILL");
  await first.exited();
  await shows(tab, "#link", "Service unreachable, retrying");
  await shows(tab, "#checked", "Stale: last response");
  assert.equal(await tab.locator("body").getAttribute("data-stale"), "true");
  assert.deepEqual(await violations(tab), []);

  await using _second = await startService({
    env: { ...databaseEnv(postgres), SERVER_PORT },
  });
  await shows(tab, "#link", "Live");
  await shows(tab, "#checked", "Checked");
  await shows(tab, "#overall-word", "Healthy");
  assert.equal(await tab.locator("article").count(), 1, "a dependency that is no more is gone");
});

browserTest("status page: notices a service that is frozen", async (browser) => {
  await using postgres = await startPostgres();
  await using service = await startService({ env: databaseEnv(postgres) });
  const { tab } = await openPage(browser, service.url);
  await shows(tab, "#overall-word", "Healthy");
  service.kill("SIGSTOP");
  try {
    await shows(tab, "#link", "Service unreachable, retrying");
  } finally {
    service.kill("SIGCONT");
  }
  await shows(tab, "#link", "Live");
});

browserTest("status page: notices it in the background too", async (browser) => {
  await using postgres = await startPostgres();
  await using service = await startService({ env: databaseEnv(postgres) });
  const { tab } = await openPage(browser, "about:blank");
  await tab.clock.install();
  await tab.goto(service.url);
  await shows(tab, "#link", "Live");
  await tab.evaluate("Object.defineProperty(document, 'visibilityState', { value: 'hidden' })");
  service.kill("SIGSTOP");
  try {
    await eventually(async () => {
      await tab.clock.fastForward("00:05");
      return await tab.title() === "? Unreachable – Treasury";
    }, { what: "the title is no lie" });
  } finally {
    service.kill("SIGCONT");
  }
});

function colorOf(tab: Page): Promise<string> {
  return tab.locator("#overall-status").evaluate((heading) => {
    const view = heading.ownerDocument.defaultView!;
    return view.getComputedStyle(heading).color;
  });
}
