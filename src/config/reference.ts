import { type Setting, settingGroups } from "./settings.ts";

/** Renders the catalog as the Markdown tables of `docs/configuration.md`, as `deno fmt` leaves them. */
export function renderTables(): string {
  const chapters = settingGroups.map(({ title, settings }) => {
    const rows = Object.entries(settings).map(([name, setting]) => [
      code(name),
      setting.default === undefined ? "" : code(setting.default),
      setting.type.unit ?? "",
      setting.meaning,
      escape(setting.type.allowed),
    ]);
    const header = ["Setting", "Default", "Unit", "Meaning", "Allowed"];
    return `### ${title}\n\n${renderTable([header, ...rows])}`;
  });
  return chapters.join("\n\n");
}

/** Renders which part of `DATABASE_URL` and which `PG*` variable stands for which setting. */
export function renderNames(): string {
  const rows = settingGroups.flatMap(({ settings }) => {
    return Object.entries<Setting>(settings).flatMap(([name, { parameter, fallback }]) => {
      if (parameter === undefined) return [];
      return [[code(name), code(parameter), fallback === undefined ? "" : code(fallback)]];
    });
  });
  return renderTable([["Setting", "In `DATABASE_URL`", "Fallback"], ...rows]);
}

/** Renders the catalog as `.env.example`. */
export function renderEnvExample(): string {
  const groups = settingGroups.map(({ title, settings }) => {
    const entries = Object.entries(settings).map(([name, setting]) => {
      const unit = setting.type.unit === undefined ? "" : ` (${setting.type.unit})`;
      return [
        `# ${setting.meaning.replaceAll("`", "")}`,
        `# Allowed${unit}: ${setting.type.allowed}.`,
        `${setting.starter ? "" : "# "}${name}=${setting.default ?? setting.example}`,
      ].join("\n");
    });
    return [`# ---- ${title} ----`, ...entries].join("\n\n");
  });
  return [ENV_EXAMPLE_HEADER, ...groups].join("\n\n") + "\n";
}

const ENV_EXAMPLE_HEADER = [
  "# Settings of the Treasury Service. Copy this file to .env and change what you need.",
  "# The real environment wins over .env. Values with # or spaces need quotes.",
  "# Written by `deno task generate`; see docs/configuration.md.",
].join("\n");

/**
 * Replaces what is between `<!-- NAME:begin -->` and `<!-- NAME:end -->`.
 *
 * @throws {Error} The text has no such markers.
 */
export function replaceSection(text: string, name: string, content: string): string {
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
  const start = text.indexOf(begin);
  const stop = text.indexOf(end);
  if (start === -1 || stop < start) throw new Error(`markers of section "${name}" are missing`);
  return `${text.slice(0, start + begin.length)}\n\n${content}\n\n${text.slice(stop)}`;
}

function renderTable(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]) => {
    return `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`;
  };
  const [header, ...body] = rows;
  return [line(header!), line(widths.map((width) => "-".repeat(width))), ...body.map(line)]
    .join("\n");
}

function code(text: string): string {
  return `\`${escape(text)}\``;
}

function escape(text: string): string {
  return text.replaceAll("|", "\\|");
}
