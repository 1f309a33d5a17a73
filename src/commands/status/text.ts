import { styleText } from "node:util";

export type Style = "bold" | "dim" | "red" | "green" | "yellow";

/** A part of a line, in one style. */
export type Span = string | { readonly text: string; readonly style: Style };

export type Line = readonly Span[];

export interface PaintOptions {
  readonly colors: boolean;
  /** Longer lines are truncated. Default: no limit. */
  readonly columns?: number;
}

/** Formats a line for the terminal. */
export function paint(line: Line, { colors, columns = Infinity }: PaintOptions): string {
  let room = columns;
  return line.map((span) => {
    const { text, style } = typeof span === "string" ? { text: span, style: undefined } : span;
    const shown = harmless(text).slice(0, room);
    room -= shown.length;
    // The caller decides on colors, not styleText.
    return colors && style ? styleText(style, shown, { validateStream: false }) : shown;
  }).join("");
}

/** Removes control characters, so that a service cannot control the terminal. */
function harmless(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, "?");
}
