/** Returns a quantile of the values; 0.5 for the median. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN;
}

/** Slope of `y` over `x` by linear regression (least squares). */
export function slope(points: readonly { readonly x: number; readonly y: number }[]): number {
  const mean = (of: "x" | "y") => points.reduce((sum, point) => sum + point[of], 0) / points.length;
  const [x, y] = [mean("x"), mean("y")];
  const covariance = points.reduce((sum, point) => sum + (point.x - x) * (point.y - y), 0);
  return covariance / points.reduce((sum, point) => sum + (point.x - x) ** 2, 0);
}

/** The median of the slopes between any two points (Theil and Sen), which is robust to outliers. */
export function medianSlope(
  points: readonly { readonly x: number; readonly y: number }[],
): number {
  const slopes = points.flatMap((from, index) =>
    points.slice(index + 1).map((to) => (to.y - from.y) / (to.x - from.x))
  );
  return median(slopes);
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}
