/** One query of a panel. */
export interface Query {
  readonly expr: string;
  /** As in Grafana, such as `{{instance}}`. */
  readonly legend: string;
}

/** One panel, with the properties in which the panels of this project differ. */
export interface Panel {
  readonly title: string;
  /** What it shows, and when to act; Grafana shows it next to the title. */
  readonly description: string;
  readonly kind: "timeseries" | "stat" | "state-timeline" | "bargauge";
  /** Unit in Grafana: `s`, `percentunit`, `short`, `reqps`, … */
  readonly unit: string;
  readonly queries: readonly Query[];
  /** Thresholds for orange and red; lines in curves. */
  readonly warnAt?: number;
  readonly failAt?: number;
  /** Upper end of the scale. Default: automatic. */
  readonly max?: number;
  /** Texts for values, such as 1: "up". */
  readonly words?: Readonly<Record<string, { readonly text: string; readonly color: string }>>;
  readonly stacked?: boolean;
}

/** A row of panels: one view of the service. */
export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

const COLUMNS = 24;
const HEIGHT = 8;
const DATASOURCE = { type: "prometheus", uid: "${datasource}" };

/** Converts rows to Grafana's JSON, laid out from left to right and from top to bottom. */
export function layOut(rows: readonly Row[]): object[] {
  let id = 1;
  return rows.flatMap(({ title, panels }, index) => {
    const y = index * (HEIGHT + 1);
    const edge = (column: number) => Math.round(column * COLUMNS / panels.length);
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
      gridPos: { x: edge(column), y: y + 1, w: edge(column + 1) - edge(column), h: HEIGHT },
    }));
    return [head, ...placed];
  });
}

function render(panel: Panel): object {
  const { title, description, kind, unit, queries, max } = panel;
  // A stat shows the current value; other panels show the selected time range.
  const isNow = kind === "stat" || kind === "bargauge";
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
      instant: isNow,
      range: !isNow,
    })),
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        ...(max !== undefined && { max }),
        thresholds: { mode: "absolute", steps: thresholds(panel) },
        mappings: mappings(panel),
        color: { mode: kind === "timeseries" ? "palette-classic" : "thresholds" },
        custom: kind === "timeseries" ? curves(panel) : {},
      },
      overrides: [],
    },
    options: OPTIONS[kind],
  };
}

/** Grafana's defaults, written out so that an import changes nothing. */
const OPTIONS: Readonly<Record<Panel["kind"], object>> = {
  timeseries: {
    legend: { displayMode: "list", placement: "bottom", showLegend: true, calcs: [] },
    tooltip: { mode: "multi", sort: "desc" },
  },
  stat: {
    reduceOptions: { calcs: ["lastNotNull"], fields: "", values: false },
    colorMode: "background",
    graphMode: "none",
    textMode: "auto",
  },
  bargauge: {
    reduceOptions: { calcs: ["lastNotNull"], fields: "", values: false },
    orientation: "horizontal",
    displayMode: "basic",
  },
  "state-timeline": {
    mergeValues: true,
    showValue: "auto",
    legend: { displayMode: "list", placement: "bottom", showLegend: true },
    tooltip: { mode: "single" },
  },
};

function curves({ stacked, warnAt, failAt }: Panel): object {
  return {
    lineWidth: 2,
    fillOpacity: 10,
    stacking: { mode: stacked ? "normal" : "none", group: "A" },
    thresholdsStyle: { mode: (warnAt ?? failAt) === undefined ? "off" : "dashed" },
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
