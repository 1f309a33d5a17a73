import { type Line, paint, type PaintOptions } from "./text.ts";

// Control sequences of ECMA-48 and xterm.
const ENTER = "\x1b[?1049h\x1b[?25l"; // alternate screen, cursor hidden
const LEAVE = "\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const CLEAR_LINE = "\x1b[K";
const CLEAR_REST = "\x1b[J";

/** Width of terminals that report 0, such as a serial line. */
const DEFAULT_SIZE = { columns: 80, rows: 24 };

/** Where to print lines. */
export interface Screen extends Disposable {
  /** Replaces the previous lines, or appends where that is not possible. */
  show(lines: readonly Line[]): void;
}

/** Prints to standard output, appending. */
export class PlainScreen implements Screen {
  readonly #options: PaintOptions;

  constructor(options: PaintOptions) {
    this.#options = options;
  }

  show(lines: readonly Line[]): void {
    console.log(lines.map((line) => paint(line, this.#options)).join("\n"));
  }

  [Symbol.dispose](): void {}
}

/** Uses the whole terminal. Disposal restores it and prints the last lines there. */
export class LiveScreen implements Screen {
  readonly #colors: boolean;
  #shown: readonly Line[] = [];

  constructor({ colors }: PaintOptions) {
    this.#colors = colors;
    write(ENTER);
  }

  show(lines: readonly Line[]): void {
    this.#shown = lines;
    const size = Deno.consoleSize();
    const columns = size.columns || DEFAULT_SIZE.columns;
    const painted = lines.slice(0, size.rows || DEFAULT_SIZE.rows).map((line) =>
      paint(line, { colors: this.#colors, columns }) + CLEAR_LINE
    );
    write(HOME + painted.join("\r\n") + CLEAR_REST);
  }

  [Symbol.dispose](): void {
    write(LEAVE);
    new PlainScreen({ colors: this.#colors }).show(this.#shown);
  }
}

function write(text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let sent = 0; sent < bytes.length;) sent += Deno.stdout.writeSync(bytes.subarray(sent));
}
