import assert from "node:assert/strict";
import { join } from "node:path";
import { parse } from "yaml";
import { prometheusTest, RULES } from "../support/prometheus.ts";
import { ROOT } from "../support/service.ts";

interface RuleFile {
  readonly groups: readonly {
    readonly rules: readonly {
      readonly alert?: string;
      readonly labels?: { readonly severity?: string };
      readonly annotations?: { readonly runbook_url?: string };
    }[];
  }[];
}

async function promtool(path: string, args: readonly string[]): Promise<void> {
  const command = new Deno.Command(path, { args: [...args], stdout: "piped", stderr: "piped" });
  const { success, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  assert.ok(success, decoder.decode(stdout) + decoder.decode(stderr));
}

prometheusTest("alerts: promtool finds no fault in the rules", "promtool", async (path) => {
  await promtool(path, [
    "check",
    "rules",
    join(RULES, "alerts.yml"),
    join(RULES, "recording_rules.yml"),
  ]);
  await promtool(path, ["check", "config", join(RULES, "prometheus.yml")]);
});

prometheusTest("alerts: each fires when it should, and not else", "promtool", async (path) => {
  await promtool(path, ["test", "rules", join(RULES, "alerts_test.yml")]);
});

async function alerts() {
  const { groups }: RuleFile = parse(await Deno.readTextFile(join(RULES, "alerts.yml")));
  return groups.flatMap(({ rules }) => rules).filter(({ alert }) => alert !== undefined);
}

Deno.test("alerts: each has a test, a severity, and a section in the runbook", async () => {
  const tests = await Deno.readTextFile(join(RULES, "alerts_test.yml"));
  const runbook = await Deno.readTextFile(join(ROOT, "docs/runbook.md"));
  const found = await alerts();
  assert.ok(found.length >= 11);
  for (const { alert = "", labels, annotations } of found) {
    assert.match(tests, new RegExp(`\\b${alert}\\b`), `${alert} has a test`);
    assert.match(labels?.severity ?? "", /^(critical|warning)$/, `${alert} has a severity`);
    assert.equal(annotations?.runbook_url, `docs/runbook.md#${alert.toLowerCase()}`);
    assert.match(runbook, new RegExp(`^## ${alert}$`, "m"), `${alert} is in the runbook`);
  }
});
