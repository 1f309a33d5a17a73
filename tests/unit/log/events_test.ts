import assert from "node:assert/strict";
import { join } from "node:path";
import { ROOT } from "../../support/service.ts";

/** The fields that are known of each event. */
type Events = ReadonlyMap<string, ReadonlySet<string>>;

/** A record in the source: `{ event: "name", fields }`, which spreads can add to. */
const RECORD = /\{\s*event: "(?<event>[a-z_.]+)",?(?<fields>[^{}]*(?:\{[^{}]*\}[^{}]*)*)\}/g;
/** The same without its fields, so that none is overlooked; no type is meant. */
const EVENT = /event: "([a-z_.]+)"(?! \|)/g;
const ROW = /^\| `(?<event>[a-z_.]+)` +\| (?<level>[^|]+)\| (?<when>[^|]+)\|(?<fields>[^|]*)\|$/gm;

async function sourceFiles(directory: string): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(directory)) {
    const path = join(directory, name);
    if (isDirectory) files.push(...await sourceFiles(path));
    else if (name.endsWith(".ts")) files.push(withoutComments(await Deno.readTextFile(path)));
  }
  return files;
}

function withoutComments(source: string): string {
  return source.replace(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, "");
}

async function eventsOfSource(): Promise<Events> {
  const events = new Map<string, Set<string>>();
  const named = (event: string) => events.getOrInsertComputed(event, () => new Set());
  for (const source of await sourceFiles(join(ROOT, "src"))) {
    for (const [, event] of source.matchAll(EVENT)) named(event!);
    for (const { groups } of source.matchAll(RECORD)) {
      // Calls and spreads are no fields.
      const plain = groups!.fields!.replace(/\.{3}\([^]*?\)|\.{3}\w+\([^)]*\)|\([^()]*\)/g, "");
      const fields = plain.split(",").map((field) => field.split(":")[0]!.trim());
      for (const field of fields) if (/^\w+$/.test(field)) named(groups!.event!).add(field);
    }
  }
  return events;
}

async function eventsOfDocs(): Promise<Events> {
  const text = await Deno.readTextFile(join(ROOT, "docs", "observability.md"));
  const table = text.slice(text.indexOf("## Events"), text.indexOf("## Traces"));
  return new Map(
    Array.from(table.matchAll(ROW), ({ groups }) => {
      const fields = Array.from(groups!.fields!.matchAll(/`(\w+)`/g), ([, field]) => field!);
      return [groups!.event!, new Set(fields)];
    }),
  );
}

const source = await eventsOfSource();
const docs = await eventsOfDocs();

Deno.test("every event of the log is in the documentation, and no other", () => {
  assert.ok(source.size > 30);
  assert.deepEqual([...docs.keys()].sort(), [...source.keys()].sort());
});

Deno.test("every field of a log record is documented and in snake_case", () => {
  for (const [event, fields] of source) {
    const undocumented = [...fields].filter((field) => !docs.get(event)?.has(field));
    assert.deepEqual(undocumented, [], `fields of ${event}`);
    for (const field of docs.get(event) ?? []) assert.match(field, /^[a-z]+(_[a-z]+)*$/, event);
  }
  assert.deepEqual([...source.get("database.recovered") ?? []], ["access_mode", "downtime_ms"]);
});
