/** One query of a panel. */
export interface Query {
  readonly expr: string;
  /** As Grafana writes it, for instance `{{instance}}`. */
  readonly legend: string;
}

/** One panel, as far as this project's panels differ. */
export interface Panel {
  readonly title: string;
  /** What it shows and when to worry; Grafana shows it beside the title. */
  readonly description: string;
  readonly kind: "timeseries" | "stat" | "state-timeline" | "bargauge";
  /** Grafana's name of it: `s`, `percentunit`, `short`, `reqps`, … */
  readonly unit: string;
  readonly queries: readonly Query[];
  /** Values from which on it is yellow and red. */
  readonly warnAt?: number;
  readonly failAt?: number;
  /** Words for values, such as 1: "up". */
  readonly words?: Readonly<Record<string, { readonly text: string; readonly color: string }>>;
  readonly stacked?: boolean;
}

/** A row of panels: one of the views that the specification lists. */
export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

const COLUMNS = 24;
const HEIGHT = 8;
const DATASOURCE = { type: "prometheus", uid: "${datasource}" };

/** The rows in Grafana's JSON, laid out from left to right and from top to bottom. */
export function layOut(rows: readonly Row[]): object[] {
  let id = 1;
  return rows.flatMap(({ title, panels }, index) => {
    const y = index * (HEIGHT + 1);
    const width = Math.floor(COLUMNS / panels.length);
    const head = {
      id: id++,
      type: "row",
      title,
      collapsed: false,
      gridPos: { x: 0, y, w: COLUMNS, h: 1 },
      panels: [],
    };
    const placed = panels.map((panel, column) => ({
      id: id++,
      ...render(panel),
      gridPos: { x: column * width, y: y + 1, w: width, h: HEIGHT },
    }));
    return [head, ...placed];
  });
}

function render(panel: Panel): object {
  const { title, description, kind, unit, queries, stacked } = panel;
  return {
    type: kind,
    title,
    description,
    datasource: DATASOURCE,
    targets: queries.map(({ expr, legend }, index) => ({
      refId: String.fromCharCode("A".charCodeAt(0) + index),
      datasource: DATASOURCE,
      expr,
      legendFormat: legend,
      // A state is asked for as it is now; a curve over the time that is shown.
      ...(kind === "stat" || kind === "bargauge" ? { instant: true } : {}),
    })),
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        thresholds: { mode: "absolute", steps: thresholds(panel) },
        mappings: mappings(panel),
        color: { mode: kind === "timeseries" ? "palette-classic" : "thresholds" },
        custom: kind === "timeseries"
          ? { lineWidth: 2, fillOpacity: 10, stacking: { mode: stacked ? "normal" : "none" } }
          : {},
      },
      overrides: [],
    },
    options: kind === "timeseries"
      ? { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi" } }
      : {},
  };
}

function thresholds({ warnAt, failAt }: Panel): object[] {
  return [
    { color: "green", value: null },
    ...(warnAt === undefined ? [] : [{ color: "orange", value: warnAt }]),
    ...(failAt === undefined ? [] : [{ color: "red", value: failAt }]),
  ];
}

function mappings({ words }: Panel): object[] {
  if (words === undefined) return [];
  const options = Object.entries(words).map((
    [value, { text, color }],
    index,
  ) => [value, { text, color, index }]);
  return [{ type: "value", options: Object.fromEntries(options) }];
}
