import { type Line, paint, type PaintOptions } from "./text.ts";

// Control sequences of ECMA-48 and xterm.
const ENTER = "\x1b[?1049h\x1b[?25l"; // the alternate screen, without a cursor
const LEAVE = "\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const CLEAR_LINE = "\x1b[K";
const CLEAR_REST = "\x1b[J";

/** Of terminals that say 0, such as a serial line. */
const DEFAULT_SIZE = { columns: 80, rows: 24 };

/** Where lines for people go. */
export interface Screen extends Disposable {
  /** Replaces what was shown before, or adds to it where nothing can be replaced. */
  show(lines: readonly Line[]): void;
}

/** Standard output, line after line. */
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

/** The whole terminal. Disposing gives it back, and leaves there what was shown last. */
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
