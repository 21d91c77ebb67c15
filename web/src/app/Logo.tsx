/** The product's mark; the same drawing as public/favicon.svg. */
export function Logo({ size }: { size: number }) {
  return <img src="/favicon.svg" width={size} height={size} alt="" />;
}
