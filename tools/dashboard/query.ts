/** Selects the series of the chosen job and instances. */
export const HERE = 'job="$job",instance=~"$instance"';

/** A quantile over the interval of one step of the panel. */
export function quantile(q: number, metric: string, by: string): string {
  return `histogram_quantile(${q}, sum by (${by}, le) (rate(${metric}_bucket{${HERE}}[$__rate_interval])))`;
}
