import assert from "node:assert/strict";
import { ConfigSource, environmentNames, loadConfig } from "../../../src/config/mod.ts";
import { settingNames, settingOf } from "../../../src/config/settings.ts";
import { problemsOf, readFrom } from "./problems_of.ts";

const inFile = (text: string) => ({ envFile: ".env", readTextFile: readFrom({ ".env": text }) });

Deno.test("a renamed setting is still read by its former name, with a warning", () => {
  const source = new ConfigSource({ env: { DB_REPLICAS: "12" } });
  assert.equal(source.load().database.serviceInstances, 12);
  assert.deepEqual(source.settingsInUse(), {
    DB_SERVICE_INSTANCES: { value: "12", from: "DB_REPLICAS" },
  });
  assert.deepEqual(source.warnings(), [
    "DB_REPLICAS has been renamed to DB_SERVICE_INSTANCES. The old name still works; rename it.",
  ]);
});

Deno.test("the former name works in .env, and the environment takes precedence over it", () => {
  const file = inFile("DB_REPLICAS=12");
  const source = new ConfigSource({ env: {}, ...file });
  assert.equal(source.load().database.serviceInstances, 12);
  assert.match(source.warnings().join(), /DB_SERVICE_INSTANCES \(in \.env\)/);
  const env = { DB_SERVICE_INSTANCES: "3" };
  assert.equal(loadConfig({ env, ...file }).database.serviceInstances, 3);
  const former = { env: { DB_REPLICAS: "4" }, ...inFile("DB_SERVICE_INSTANCES=12") };
  assert.equal(loadConfig(former).database.serviceInstances, 4);
});

Deno.test("both names with one value are a warning, with two values a problem", () => {
  const both = (former: string) => ({ DB_SERVICE_INSTANCES: "3", DB_REPLICAS: former });
  const same = new ConfigSource({ env: both("3") });
  assert.equal(same.load().database.serviceInstances, 3);
  assert.equal(same.warnings().length, 1);
  assert.deepEqual(problemsOf(both("4")), [{
    setting: "DB_REPLICAS",
    problem:
      "has been renamed to DB_SERVICE_INSTANCES, which is set to another value; remove DB_REPLICAS",
    allowed: undefined,
  }]);
});

Deno.test("a wrong value is reported by the name that was set", () => {
  assert.equal(problemsOf({ DB_REPLICAS: "many" })[0]?.setting, "DB_REPLICAS");
});

Deno.test("without former names there is no warning", () => {
  assert.deepEqual(new ConfigSource({ env: { DB_SERVICE_INSTANCES: "3" } }).warnings(), []);
});

Deno.test("a former name is read from the environment, and is no name of a setting", () => {
  for (const name of settingNames) {
    const { formerName } = settingOf(name);
    if (formerName === undefined) continue;
    assert(environmentNames.includes(formerName));
    assert(!(settingNames as readonly string[]).includes(formerName));
  }
});

Deno.test("the .env file is read once", () => {
  let reads = 0;
  const readTextFile = () => {
    reads++;
    return "DB_HOST=db.internal\nDB_ADMIN_USER=postgres";
  };
  const source = new ConfigSource({ env: {}, envFile: ".env", readTextFile });
  source.isDatabaseConfigured();
  source.load();
  source.loadAdmin();
  source.settingsInUse();
  source.warnings();
  assert.equal(reads, 1);
});
