const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Formats a duration with its two largest units: `3 s`, `2 min 5 s`, `1 d 3 h`. */
export function duration(ms: number): string {
  const rest = Math.max(0, ms);
  if (rest < MINUTE_MS) return `${Math.floor(rest / SECOND_MS)} s`;
  if (rest < HOUR_MS) return pair(rest, MINUTE_MS, "min", SECOND_MS, "s");
  if (rest < DAY_MS) return pair(rest, HOUR_MS, "h", MINUTE_MS, "min");
  return pair(rest, DAY_MS, "d", HOUR_MS, "h");
}

function pair(ms: number, large: number, largeName: string, small: number, smallName: string) {
  const rest = Math.floor((ms % large) / small);
  return `${Math.floor(ms / large)} ${largeName}${rest === 0 ? "" : ` ${rest} ${smallName}`}`;
}

/** Age of an RFC 3339 time, by the clock of this machine. */
export function ageOf(time: string, now: number): string {
  const at = Date.parse(time);
  return Number.isNaN(at) ? "?" : duration(now - at);
}
