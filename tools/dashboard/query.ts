/** The series of the job and the instances that are chosen above the panels. */
export const HERE = 'job="$job",instance=~"$instance"';

/** A quantile over the time that one step of the panel covers. */
export function quantile(q: number, metric: string, by: string): string {
  return `histogram_quantile(${q}, sum by (${by}, le) (rate(${metric}_bucket{${HERE}}[$__rate_interval])))`;
}
