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
  /** Values from which on it is orange and red; in curves, lines at these values. */
  readonly warnAt?: number;
  readonly failAt?: number;
  /** The upper end of the scale; default: as high as the values are. */
  readonly max?: number;
  /** Words for values, such as 1: "up". */
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

/** The rows in Grafana's JSON, laid out from left to right and from top to bottom. */
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
  // A state is asked for as it is now; what is drawn over time, for all of that time.
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

/** As Grafana would complete them; written out, so that an update changes nothing. */
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
