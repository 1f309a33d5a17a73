import { readMigrationStatus, readSchemaVersion } from "../../database/mod.ts";
import { EXIT } from "../command.ts";
import { describeVersion, statusLines } from "./output.ts";
import { type Subcommand, target } from "./subcommand.ts";

export const version: Subcommand = {
  operands: [0, 0],
  async run(context) {
    const current = await readSchemaVersion(...target(context));
    console.log(`${describeVersion(current?.version)}${current?.dirty === true ? " (dirty)" : ""}`);
  },
};

export const status: Subcommand = {
  operands: [0, 0],
  async run(context) {
    const status = await readMigrationStatus(...target(context));
    for (const line of statusLines(status)) console.log(line);
    const isWrong = status.current?.dirty === true || status.surprises.length > 0;
    return isWrong ? EXIT.failed : EXIT.done;
  },
};
