/**
 * `deno task status`: shows the health of a running service in a terminal.
 *
 * @module
 */
import { toJson } from "@bufbuild/protobuf";
import { GetHealthResponseSchema } from "../../../gen/treasury/v1/health_pb.ts";
import { stopSignal } from "../../process.ts";
import { readArguments, type StatusArguments, USAGE } from "./arguments.ts";
import { LiveScreen, PlainScreen } from "./screen.ts";
import { askHealth, followHealth } from "./service.ts";
import { EXIT, exitCodeOf, type Sighting } from "./sighting.ts";
import { type Knowledge, view } from "./view.ts";

/** Interval at which the live screen updates ages. */
const TICK_MS = 1_000;

async function ask({ url, json }: StatusArguments, signal: AbortSignal): Promise<number> {
  const sighting = await askHealth({ url, signal });
  if (json) console.log(JSON.stringify(jsonOf(sighting), null, 2));
  else new PlainScreen(colorOptions()).show(view(learn({ url }, sighting), Date.now()));
  return exitCodeOf(sighting);
}

async function watchJson(url: string, signal: AbortSignal): Promise<void> {
  for await (const sighting of followHealth({ url, signal })) {
    console.log(JSON.stringify(jsonOf(sighting)));
  }
}

async function watch(url: string, signal: AbortSignal): Promise<void> {
  const isLive = Deno.stdout.isTerminal();
  using screen = isLive ? new LiveScreen(colorOptions()) : new PlainScreen(colorOptions());
  let knowledge: Knowledge = { url };
  const show = () => screen.show(view(knowledge, Date.now()));
  const tick = isLive ? setInterval(show, TICK_MS) : undefined;
  try {
    for await (const sighting of followHealth({ url, signal })) {
      knowledge = learn(knowledge, sighting);
      show();
    }
  } finally {
    clearInterval(tick);
  }
}

/** Merges a sighting into what is known. The last answer stays until there is a newer one. */
function learn(before: Knowledge, sighting: Sighting): Knowledge {
  if ("problem" in sighting) return { ...before, problem: sighting.problem };
  // A heartbeat contains no events.
  const events = sighting.events.length > 0 ? sighting.events : before.answer?.events ?? [];
  return { url: before.url, answer: { ...sighting, events }, answeredAt: Date.now() };
}

/** As the service responds in JSON. */
function jsonOf(sighting: Sighting): unknown {
  return "problem" in sighting
    ? { status: "UNREACHABLE", message: sighting.problem }
    : toJson(GetHealthResponseSchema, sighting.health, {
      alwaysEmitImplicit: true,
      useProtoFieldName: true,
    });
}

function colorOptions(): { colors: boolean } {
  return { colors: Deno.stdout.isTerminal() && !Deno.noColor };
}

async function main(args: readonly string[]): Promise<number> {
  let asked: StatusArguments;
  try {
    asked = readArguments(args);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    console.error(`${error.message}\n\n${USAGE}`);
    return EXIT.unknown;
  }
  if (asked.help) {
    console.log(USAGE);
    return EXIT.healthy;
  }
  const stop = new AbortController();
  void stopSignal(() => Deno.exit(EXIT.stopped)).then(() => stop.abort());
  try {
    if (!asked.watch) return await ask(asked, stop.signal);
    await (asked.json ? watchJson : watch)(asked.url, stop.signal);
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  }
  return EXIT.stopped;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
